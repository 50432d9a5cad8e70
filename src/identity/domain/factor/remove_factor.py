"""RemoveFactor: switching a second factor off."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from identity.domain.accounts import Account
from identity.domain.audit import Event
from identity.domain.errors import DomainError, FactorRequired, NotFound
from identity.domain.factor.change import factor_changed
from identity.domain.factor.list_factors import is_required
from identity.domain.factors import Factor
from identity.domain.fresh_proof import FreshProof, with_fresh_proof
from identity.domain.password_rules import too_short
from identity.domain.ports import Transaction, World


def remove_factor(world: World, proof: FreshProof, factor_id: UUID) -> int:
    """Switch a factor off; the number of other sessions that ended.

    With the last one the recovery codes go too. Raises NotFound, FactorRequired, PasswordTooShort where the password
    was allowed only beside a factor (PW-01), or what fresh proof is refused with.
    """

    def act(tx: Transaction, account: Account, now: datetime) -> int | DomainError:
        for factor in tx.factors.of(account.id):
            if factor.id == factor_id:
                return remove(world, tx, account, factor, proof, now)
        return NotFound(field="id")

    return with_fresh_proof(world, proof, act)


def remove(
    world: World, tx: Transaction, account: Account, factor: Factor, proof: FreshProof, now: datetime
) -> int | DomainError:
    """Switch this factor off, unless it is the last one, and the role demands one or the password one beside it."""
    is_last = len(tx.factors.of(account.id)) == 1
    if is_last and is_required(world, tx, proof.caller):
        return FactorRequired(field="id")
    if is_last and (short := too_short(world, proof.password, field="current_password", second_factor=False)):
        return short
    tx.factors.remove(factor)
    if is_last:
        tx.factors.set_recovery_codes(account.id, [], now)
    return factor_changed(world, tx, account, Event.FACTOR_REMOVED, factor.type.value, proof.caller, proof.source, now)
