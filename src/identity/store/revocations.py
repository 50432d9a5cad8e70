"""Rows of the revocation feed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from identity.domain.revocations import Revocation
from identity.store.tables import revocations

_VALUES = tuple(column for column in revocations.c if column.name != "id")
_since = select(*_VALUES).where(revocations.c.at >= bindparam("since")).order_by(revocations.c.id)


class Revocations:
    """Implements `domain.revocations.RevocationStore`. `on_end` hears why, of each session that is over."""

    def __init__(self, connection: Connection, on_end: Callable[[str], None]) -> None:
        self._connection = connection
        self._on_end = on_end

    def add(self, ended: Iterable[Revocation]) -> None:
        rows = []
        for revocation in ended:
            rows.append(
                {
                    "session_id": revocation.session_id,
                    "account_id": revocation.account_id,
                    "at": revocation.at,
                    "reason": revocation.reason,
                    "expires_at": revocation.expires_at,
                    "issued_before": revocation.issued_before,
                }
            )
            if revocation.issued_before is None:
                self._on_end(revocation.reason)
        if rows:
            self._connection.execute(revocations.insert(), rows)

    def since(self, at: datetime) -> list[Revocation]:
        return [Revocation(**row._asdict()) for row in self._connection.execute(_since, {"since": at})]
