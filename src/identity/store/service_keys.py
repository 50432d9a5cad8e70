"""Rows of service keys."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from identity.domain.service_keys import ServiceKey
from identity.store.insert import insert_or_ignore
from identity.store.tables import service_keys as keys

_all = select(*keys.c).order_by(keys.c.name)


class ServiceKeys:
    """Implements `domain.service_keys.ServiceKeyStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[ServiceKey]:
        return [
            ServiceKey(**{**row._asdict(), "scopes": frozenset(row.scopes)}) for row in self._connection.execute(_all)
        ]

    def add(self, key: ServiceKey) -> bool:
        statement = insert_or_ignore(self._connection, keys).returning(keys.c.id)
        values = {
            "id": key.id,
            "name": key.name,
            "digest": key.digest,
            "scopes": sorted(key.scopes),
            "created_at": key.created_at,
        }
        return self._connection.execute(statement, values).first() is not None

    def revoke(self, name: str, now: datetime) -> bool:
        statement = (
            update(keys)
            .where(keys.c.name == name, keys.c.revoked_at.is_(None))
            .values(revoked_at=now)
            .returning(keys.c.id)
        )
        return self._connection.execute(statement).first() is not None
