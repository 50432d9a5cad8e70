"""Members: accounts seen from a tenant, and who may touch whom there.

Nobody acts on somebody of a higher level, gives a role above their own, or leaves the tenant without
an active administrator; what belongs to another tenant does not exist (AZ-02, AZ-03).
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from identity.domain.accounts import Account
from identity.domain.callers import Caller
from identity.domain.errors import LastAdmin, NotFound, PermissionDenied, RoleNotAllowed
from identity.domain.policy import Role
from identity.domain.ports import Transaction, World
from identity.domain.roles import is_within, role_of
from identity.domain.tenants import Membership, Tenant


@dataclass(frozen=True, slots=True)
class Member:
    """An account with what it is in a tenant; without a tenant, with the role it has by itself."""

    account: Account
    membership: Membership | None = None
    role: Role | None = None


def find_member(world: World, tx: Transaction, caller: Caller, account_id: UUID) -> Member:
    """An account of the caller's tenant, or the caller's own. Raises NotFound, for foreign ones too."""
    return _member(world, tx, caller, tx.accounts.get(account_id))


def hold_member(world: World, tx: Transaction, caller: Caller, account_id: UUID) -> Member:
    """The same, whose row nobody else changes until this unit, which writes, ends."""
    return _member(world, tx, caller, tx.accounts.hold(account_id))


def _member(world: World, tx: Transaction, caller: Caller, account: Account | None) -> Member:
    if account is None:
        raise NotFound(field="id")
    membership = tx.tenants.membership(account.id, caller.tenant_id) if caller.tenant_id else None
    if membership is None and account.id != caller.account_id:
        raise NotFound(field="id")
    key = membership.role if membership else account.role
    return Member(account, membership, role_of(world.policy, tx.roles, caller.tenant_id, key))


def check_reach(caller: Caller, member: Member) -> None:
    """Raises PermissionDenied for the caller itself and for somebody of a higher level."""
    level = member.role.level if member.role else 0
    if member.account.id == caller.account_id or level > caller.level:
        raise PermissionDenied(field="id")


def check_ours_alone(tx: Transaction, caller: Caller, member: Member) -> None:
    """Raises PermissionDenied for who belongs to another tenant too.

    What a person is everywhere, one tenant alone does not decide (AZ-02).
    """
    if any(tenant.id != caller.tenant_id for tenant, _ in tx.tenants.memberships(member.account.id)):
        raise PermissionDenied(field="id")


def grantable_role(world: World, tx: Transaction, tenant: Tenant, caller: Caller, key: str) -> Role:
    """A role that the caller may give: nobody gives more than they have (AZ-03).

    Raises RoleNotAllowed or PermissionDenied.
    """
    role = role_of(world.policy, tx.roles, tenant.id, key)
    if role is None:
        raise RoleNotAllowed(field="role")
    own = role_of(world.policy, tx.roles, tenant.id, caller.role)
    if own is None or not is_within(role, own):
        raise PermissionDenied(field="role")
    return role


def administers(role: Role) -> bool:
    """Whether somebody in this role can let others in and out."""
    return role.permissions.get("accounts", {}).get("edit", False)


def keep_an_administrator(world: World, tx: Transaction, tenant: Tenant) -> None:
    """Raises LastAdmin, and so undoes the unit, when no active administrator is left in the tenant."""
    # The tenant's row is the queue for everybody who might be taking the last but one away.
    tx.tenants.hold(tenant.id)
    for key in tx.tenants.roles_of_active_members(tenant.id):
        role = role_of(world.policy, tx.roles, tenant.id, key)
        if role is not None and administers(role):
            return
    raise LastAdmin()
