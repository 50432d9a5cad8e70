"""Rows of the roles that tenants made for themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, delete, exists, select

from identity.domain.policy import Role
from identity.domain.roles import OWN_NUMBERS
from identity.store.insert import insert
from identity.store.tables import invites, memberships, roles

_of = select(*roles.c).where(roles.c.tenant_id == bindparam("tenant")).order_by(roles.c.key)
_find = _of.where(roles.c.key == bindparam("key"))
_remove = (
    delete(roles)
    .where(
        roles.c.tenant_id == bindparam("tenant"),
        roles.c.key == bindparam("role"),
        ~exists().where(memberships.c.tenant_id == roles.c.tenant_id, memberships.c.role == roles.c.key),
        ~exists().where(
            invites.c.tenant_id == roles.c.tenant_id, invites.c.role == roles.c.key, invites.c.status == "pending"
        ),
    )
    .returning(roles.c.number)
)


class Roles:
    """Implements `domain.roles.RoleStore`."""

    def __init__(self, connection: Connection, changed: Callable[[UUID | None], None]) -> None:
        self._connection = connection
        self._changed = changed

    def of(self, tenant_id: UUID) -> list[Role]:
        return [_to_role(row) for row in self._connection.execute(_of, {"tenant": tenant_id})]

    def find(self, tenant_id: UUID, key: str) -> Role | None:
        row = self._connection.execute(_find, {"tenant": tenant_id, "key": key}).first()
        return None if row is None else _to_role(row)

    def put(self, tenant_id: UUID, role: Role, now: datetime) -> Role:
        self._changed(None)
        fresh = {
            "name": role.name,
            "level": role.level,
            "permissions": {resource: dict(actions) for resource, actions in role.permissions.items()},
            "mfa_required": role.requires_mfa,
            "updated_at": now,
        }
        statement = (
            insert(self._connection, roles)
            .values(tenant_id=tenant_id, key=role.key, created_at=now, **fresh)
            .on_conflict_do_update(index_elements=[roles.c.tenant_id, roles.c.key], set_=fresh)
            .returning(*roles.c)
        )
        return _to_role(self._connection.execute(statement).one())

    def remove_unused(self, tenant_id: UUID, key: str) -> bool:
        return self._connection.execute(_remove, {"tenant": tenant_id, "role": key}).first() is not None


def _to_role(row: Row[Any]) -> Role:
    return Role(
        key=row.key,
        name=row.name,
        level=row.level,
        permissions=row.permissions,
        requires_mfa=row.mfa_required,
        number=OWN_NUMBERS + row.number,
        built_in=False,
    )
