"""Who must prove a second factor: whoever has a role that demands one, and whoever has switched one on (N-12)."""

from __future__ import annotations

from collections.abc import Iterable

from identity.domain.accounts import Account
from identity.domain.factors import AMR
from identity.domain.ports import Transaction, World
from identity.domain.roles import role_of
from identity.domain.tenants import Membership, Tenant


def is_mfa_required(
    world: World, tx: Transaction, account: Account, places: Iterable[tuple[Tenant, Membership]]
) -> bool:
    """Whether a role of the account, outside of tenants or in one of `places`, demands a second factor."""
    own = role_of(world.policy, tx.roles, None, account.role)
    roles = [own, *(role_of(world.policy, tx.roles, tenant.id, member.role) for tenant, member in places)]
    return any(role is not None and role.requires_mfa for role in roles)


def is_factor_missing(
    world: World, tx: Transaction, account: Account, places: Iterable[tuple[Tenant, Membership]], amr: Iterable[str]
) -> bool:
    """Whether what was proven so far lacks a second factor that a role demands or the account has switched on."""
    if is_factor_proven(amr):
        return False
    return is_mfa_required(world, tx, account, places) or bool(tx.factors.of(account.id))


def is_factor_proven(amr: Iterable[str]) -> bool:
    """Whether one of these methods is a second factor."""
    return any(method in AMR.values() for method in amr)
