"""Who must have a second factor: whoever has a role that demands one, in any of the tenants in question."""

from __future__ import annotations

from collections.abc import Iterable

from identity.domain.accounts import Account
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
