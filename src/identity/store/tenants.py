"""Rows of tenants and memberships."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, RowMapping, bindparam, select

from identity.domain.tenants import Membership, NewMembership, NewTenant, Tenant
from identity.store.insert import insert_or_ignore
from identity.store.tables import memberships, tenants

_get = select(*tenants.c).where(tenants.c.id == bindparam("id"))
_memberships = (
    select(*tenants.c, *memberships.c)
    .join_from(memberships, tenants, memberships.c.tenant_id == tenants.c.id)
    .where(memberships.c.account_id == bindparam("account"))
    .order_by(memberships.c.created_at, memberships.c.tenant_id)
)


class Tenants:
    """Implements `domain.tenants.TenantStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

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
        ).mappings().first()
        return row and to_tenant(row)

    def get(self, tenant_id: UUID) -> Tenant | None:
        row = self._connection.execute(_get, {"id": tenant_id}).mappings().first()
        return row and to_tenant(row)

    def add_membership(self, membership: NewMembership) -> Membership:
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
        ).mappings().one()
        return to_membership(row)

    def memberships(self, account_id: UUID) -> list[tuple[Tenant, Membership]]:
        rows = self._connection.execute(_memberships, {"account": account_id}).mappings()
        return [(to_tenant(row), to_membership(row)) for row in rows]


def to_tenant(row: RowMapping) -> Tenant:
    """The domain's value of a row."""
    return Tenant(**{column.name: row[column] for column in tenants.c})


def to_membership(row: RowMapping) -> Membership:
    """The domain's value of a row."""
    values = {column.name: row[column] for column in memberships.c}
    return Membership(**{**values, "team_ids": tuple(values["team_ids"])})
