"""Rows of tenants and memberships."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, select

from identity.domain.tenants import Membership, NewMembership, NewTenant, Tenant
from identity.store.insert import insert_or_ignore
from identity.store.tables import memberships, tenants

_TENANT = tuple(column.name for column in tenants.c)
_MEMBERSHIP = tuple(column.name for column in memberships.c)
_get = select(*tenants.c).where(tenants.c.id == bindparam("id"))
_memberships = (
    select(*tenants.c, *memberships.c)
    .join_from(memberships, tenants, memberships.c.tenant_id == tenants.c.id)
    .where(memberships.c.account_id == bindparam("account"))
    .order_by(memberships.c.created_at, memberships.c.tenant_id)
)


class Tenants:
    """Implements `domain.tenants.TenantStore`."""

    def __init__(self, connection: Connection, changed: Callable[[UUID], None]) -> None:
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
                "created_at": tenant.created_at,
                "updated_at": tenant.created_at,
            },
        ).first()
        return None if row is None else to_tenant(row)

    def get(self, tenant_id: UUID) -> Tenant | None:
        row = self._connection.execute(_get, {"id": tenant_id}).first()
        return None if row is None else to_tenant(row)

    def remove(self, tenant_id: UUID) -> None:
        self._connection.execute(delete(tenants).where(tenants.c.id == tenant_id))

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
