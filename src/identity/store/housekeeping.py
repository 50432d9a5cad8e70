"""Removal of rows whose time is over."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, select

from identity.store.tables import challenges, one_time_tokens, outbox, revocations, sessions, throttles


class Housekeeping:
    """Implements `domain.housekeeping.HousekeepingStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sweep(self, now: datetime, *, keep_ended: timedelta, keep_finished: timedelta, batch: int) -> int:
        ended, finished = now - keep_ended, now - keep_finished
        conditions: list[tuple[Table, ColumnElement[bool]]] = [
            (sessions, sessions.c.expires_at < ended),
            (sessions, sessions.c.idle_expires_at < ended),
            (sessions, sessions.c.revoked_at < ended),
            (throttles, and_(throttles.c.charged_at < ended, throttles.c.until < ended)),
            (one_time_tokens, one_time_tokens.c.expires_at < finished),
            (challenges, challenges.c.expires_at < finished),
            (outbox, outbox.c.finished_at < finished),
            # Kept as well: by a clock that was ahead for a while, what still counts had expired (F-10).
            (revocations, revocations.c.expires_at < finished),
        ]
        return sum(self._remove(table, condition, batch) for table, condition in conditions)

    def _remove(self, table: Table, condition: ColumnElement[bool], batch: int) -> int:
        key = next(iter(table.primary_key))
        some = select(key).where(condition).limit(batch)
        return self._connection.execute(delete(table).where(key.in_(some.scalar_subquery()))).rowcount
