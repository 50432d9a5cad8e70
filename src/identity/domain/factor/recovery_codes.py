"""RegenerateRecoveryCodes: ten new codes for the day the phone is lost."""

from __future__ import annotations

from datetime import datetime

from identity.domain.accounts import Account
from identity.domain.audit import Event
from identity.domain.code_proof import new_recovery_codes
from identity.domain.errors import DomainError, FactorNotAllowed
from identity.domain.factor.change import factor_changed
from identity.domain.fresh_proof import FreshProof, with_fresh_proof
from identity.domain.ports import Transaction, World


def regenerate_recovery_codes(world: World, proof: FreshProof) -> list[str]:
    """Ten new codes, shown this once; the older ones die (OT-07).

    Raises FactorNotAllowed for an account without a factor to recover, or what fresh proof is refused with.
    """

    def renew(tx: Transaction, account: Account, now: datetime) -> list[str] | DomainError:
        if not tx.factors.of(account.id):
            return FactorNotAllowed()
        codes = new_recovery_codes(world, tx, account, now)
        factor_changed(
            world, tx, account, Event.RECOVERY_CODES_RENEWED, "recovery_code", proof.caller, proof.source, now
        )
        return codes

    return with_fresh_proof(world, proof, renew)
