"""Rows of signing keys; the private part arrives and leaves encrypted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Case, Column, Connection, case, delete, literal, select, update

from identity.domain.signing_keys import StoredKey
from identity.store.insert import insert_or_ignore
from identity.store.tables import signing_keys

_all = select(*signing_keys.c).order_by(signing_keys.c.generation)


class SigningKeys:
    """Implements `domain.signing_keys.SigningKeyStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def all(self) -> list[StoredKey]:
        return [StoredKey(**row._asdict()) for row in self._connection.execute(_all)]

    def add(self, key: StoredKey) -> bool:
        statement = insert_or_ignore(self._connection, signing_keys).returning(signing_keys.c.kid)
        return self._connection.execute(statement, asdict(key)).first() is not None

    def retire(self, kids: Iterable[str], *, signs_until: datetime, published_until: datetime) -> None:
        self._connection.execute(
            update(signing_keys)
            .where(signing_keys.c.kid.in_(list(kids)))
            .values(
                signs_until=_earlier(signing_keys.c.signs_until, signs_until),
                published_until=_earlier(signing_keys.c.published_until, published_until),
            )
        )

    def remove(self, kids: Iterable[str]) -> None:
        self._connection.execute(delete(signing_keys).where(signing_keys.c.kid.in_(list(kids))))


def _earlier(column: Column[datetime], value: datetime) -> Case[datetime]:
    return case((column < value, column), else_=literal(value, column.type))
