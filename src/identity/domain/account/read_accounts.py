"""GetAccount and ListAccounts: who is here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from identity.domain.account.members import Member, find_member
from identity.domain.accounts import AccountStatus
from identity.domain.authorization import is_granted
from identity.domain.callers import Caller
from identity.domain.errors import PermissionDenied
from identity.domain.paging import Page, PageRequest, cut, read_position
from identity.domain.ports import Transaction, World
from identity.domain.roles import role_of
from identity.domain.tenant.get_tenant import active_tenant


class Order(StrEnum):
    """What a list of accounts is ordered by."""

    NAME = "name"
    EMAIL = "email"
    NEWEST = "newest"
    OLDEST = "oldest"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which accounts to list; what is None does not narrow."""

    role: str | None = None
    status: AccountStatus | None = None
    query: str | None = None
    department_id: str | None = None
    order: Order = Order.NAME


def get_account(world: World, caller: Caller, account_id: UUID) -> Member:
    """The caller's account, or another of the tenant with the permission. Raises NotFound or PermissionDenied."""

    def look(tx: Transaction) -> Member:
        if account_id != caller.account_id and not is_granted(world, tx, caller, "accounts:view"):
            raise PermissionDenied(permission="accounts:view")
        return find_member(world, tx, caller, account_id)

    return world.database.read(look)


def list_accounts(world: World, caller: Caller, wanted: Filter, page: PageRequest) -> Page[Member]:
    """The accounts of the active tenant (Z-23). Raises NotFound or InvalidRequest."""
    name = f"accounts:{caller.tenant_id}:{wanted}"
    after = read_position(world, page, name)

    def look(tx: Transaction) -> list[Member]:
        tenant = active_tenant(tx, caller)
        rows = tx.tenants.members(tenant.id, wanted, after=after, limit=page.limit + 1)
        return [
            Member(account, membership, role_of(world.policy, tx.roles, tenant.id, membership.role))
            for account, membership in rows
        ]

    def position(member: Member) -> list[str]:
        account = member.account
        key = {
            Order.NAME: account.name,
            Order.EMAIL: account.email or "",
            Order.NEWEST: str(account.number),
            Order.OLDEST: str(account.number),
        }[wanted.order]
        return [key, str(account.number)]

    return cut(world, page, name, world.database.read(look), position)
