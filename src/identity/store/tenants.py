"""Rows of tenants and memberships."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, select, update

from identity.domain.account.read_accounts import Filter
from identity.domain.accounts import Account, AccountStatus
from identity.domain.tenants import Membership, NewMembership, NewTenant, Tenant
from identity.store.accounts import to_account
from identity.store.insert import insert_or_ignore
from identity.store.members import members_query
from identity.store.tables import accounts, memberships, tenants

_TENANT = tuple(column.name for column in tenants.c)
_MEMBERSHIP = tuple(column.name for column in memberships.c)
_get = select(*tenants.c).where(tenants.c.id == bindparam("id"))
_find = select(*tenants.c).where(tenants.c.slug == bindparam("slug"))
_hold = select(tenants.c.number).where(tenants.c.id == bindparam("id")).with_for_update()
_membership = select(*memberships.c).where(
    memberships.c.account_id == bindparam("account"), memberships.c.tenant_id == bindparam("tenant")
)
_active_roles = (
    select(memberships.c.role)
    .distinct()
    .join_from(memberships, accounts, accounts.c.id == memberships.c.account_id)
    .where(memberships.c.tenant_id == bindparam("tenant"), accounts.c.status == AccountStatus.ACTIVE.value)
)
_memberships = (
    select(*tenants.c, *memberships.c)
    .join_from(memberships, tenants, memberships.c.tenant_id == tenants.c.id)
    .where(memberships.c.account_id == bindparam("account"))
    .order_by(memberships.c.created_at, memberships.c.tenant_id)
)


class Tenants:
    """Implements `domain.tenants.TenantStore`."""

    def __init__(self, connection: Connection, changed: Callable[[UUID | None], None]) -> None:
        self._connection = connection
        self._changed = changed

    def add(self, tenant: NewTenant) -> Tenant | None:
        row = self._connection.execute(
            insert_or_ignore(self._connection, tenants).returning(*tenants.c),
            {
                "id": tenant.id,
                "kind": tenant.kind,
                "slug": tenant.slug,
                "name": tenant.name,
                "email": tenant.email,
                "phone": tenant.phone,
                "address": tenant.address,
                "attributes": dict(tenant.attributes),
                "suspended_at": tenant.suspended_at,
                "created_at": tenant.created_at,
                "updated_at": tenant.created_at,
            },
        ).first()
        return None if row is None else to_tenant(row)

    def get(self, tenant_id: UUID) -> Tenant | None:
        row = self._connection.execute(_get, {"id": tenant_id}).first()
        return None if row is None else to_tenant(row)

    def find(self, slug: str) -> Tenant | None:
        row = self._connection.execute(_find, {"slug": slug}).first()
        return None if row is None else to_tenant(row)

    def update(self, tenant_id: UUID, values: Mapping[str, object], now: datetime) -> Tenant:
        self._changed(None)
        statement = (
            update(tenants).where(tenants.c.id == tenant_id).values(**values, updated_at=now).returning(*tenants.c)
        )
        return to_tenant(self._connection.execute(statement).one())

    def add_membership(self, membership: NewMembership) -> Membership:
        self._changed(membership.account_id)
        row = self._connection.execute(
            memberships.insert().returning(*memberships.c),
            {
                "account_id": membership.account_id,
                "tenant_id": membership.tenant_id,
                "role": membership.role,
                "department_id": membership.department_id,
                "team_ids": list(membership.team_ids),
                "created_at": membership.created_at,
                "updated_at": membership.created_at,
            },
        ).one()
        return to_membership(row)

    def hold(self, tenant_id: UUID) -> None:
        self._connection.execute(_hold, {"id": tenant_id})

    def membership(self, account_id: UUID, tenant_id: UUID) -> Membership | None:
        row = self._connection.execute(_membership, {"account": account_id, "tenant": tenant_id}).first()
        return None if row is None else to_membership(row)

    def update_membership(
        self,
        account_id: UUID,
        tenant_id: UUID,
        *,
        role: str,
        department_id: str | None,
        team_ids: tuple[str, ...],
        now: datetime,
    ) -> None:
        self._changed(account_id)
        statement = (
            update(memberships)
            .where(memberships.c.account_id == account_id, memberships.c.tenant_id == tenant_id)
            .values(role=role, department_id=department_id, team_ids=list(team_ids), updated_at=now)
        )
        self._connection.execute(statement)

    def remove_membership(self, account_id: UUID, tenant_id: UUID) -> None:
        self._changed(account_id)
        self._connection.execute(
            delete(memberships).where(memberships.c.account_id == account_id, memberships.c.tenant_id == tenant_id)
        )

    def roles_of_active_members(self, tenant_id: UUID) -> list[str]:
        return list(self._connection.execute(_active_roles, {"tenant": tenant_id}).scalars())

    def members(
        self, tenant_id: UUID, wanted: Filter, *, after: list[str] | None, limit: int
    ) -> list[tuple[Account, Membership]]:
        query = members_query(tenant_id, wanted, after).limit(limit)
        width = len(accounts.c)
        rows = self._connection.execute(query)
        return [(to_account(row[:width]), to_membership(row[width:])) for row in rows]

    def memberships(self, account_id: UUID) -> list[tuple[Tenant, Membership]]:
        rows = self._connection.execute(_memberships, {"account": account_id})
        width = len(_TENANT)
        return [(to_tenant(row[:width]), to_membership(row[width:])) for row in rows]


def to_tenant(row: Sequence[Any]) -> Tenant:
    """The domain's value of a row of `tenants`."""
    return Tenant(**dict(zip(_TENANT, row, strict=True)))


def to_membership(row: Sequence[Any]) -> Membership:
    """The domain's value of a row of `memberships`."""
    values = dict(zip(_MEMBERSHIP, row, strict=True))
    values["team_ids"] = tuple(values["team_ids"])
    return Membership(**values)
