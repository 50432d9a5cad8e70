"""ListFactors: what a person has switched on."""

from __future__ import annotations

from dataclasses import dataclass

from identity.domain.callers import Caller
from identity.domain.factors import Factor
from identity.domain.mfa_policy import is_mfa_required
from identity.domain.ports import Transaction, World


@dataclass(frozen=True, slots=True)
class Overview:
    """The factors, the recovery codes left, and whether the caller's role demands a factor."""

    factors: list[Factor]
    recovery_codes_left: int
    required: bool


def list_factors(world: World, caller: Caller) -> Overview:
    """The caller's factors, oldest first."""

    def look(tx: Transaction) -> Overview:
        return Overview(
            tx.factors.of(caller.account_id),
            tx.factors.recovery_codes_left(caller.account_id),
            is_required(world, tx, caller),
        )

    return world.database.read(look)


def is_required(world: World, tx: Transaction, caller: Caller) -> bool:
    """Whether any role of the caller demands a second factor, in whichever tenant."""
    account = tx.accounts.get(caller.account_id)
    return account is not None and is_mfa_required(world, tx, account, tx.tenants.memberships(account.id))
