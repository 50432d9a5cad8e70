"""Rows of budgets, each charged by one conditional statement."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, literal, or_, select, update
from sqlalchemy.sql.dml import ReturningInsert

from identity.domain.throttles import Backoff, Window
from identity.store.insert import insert
from identity.store.tables import throttles

# Housekeeping leaves alone what has not ended, so that a password which is disabled until its reset stays so.
_FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)
_failures = select(throttles.c.charges).where(throttles.c.key == bindparam("key"))
_clear = delete(throttles).where(throttles.c.key == bindparam("bucket"))
_refund = (
    update(throttles)
    .where(throttles.c.key == bindparam("bucket"), throttles.c.charges > 0)
    .values(charges=throttles.c.charges - 1)
)


class Throttles:
    """Implements `domain.throttles.ThrottleStore`. `on_refusal` hears the name of a budget that is used up."""

    def __init__(self, connection: Connection, on_refusal: Callable[[str], None]) -> None:
        self._connection = connection
        self._on_refusal = on_refusal

    def charge_backoff(self, key: bytes, budget: Backoff, now: datetime) -> bool:
        steps = _steps(budget)
        until = case(
            (throttles.c.charges + 1 >= budget.limit, literal(_FOR_EVER, throttles.c.until.type)),
            *(
                (throttles.c.charges + 1 == charges, literal(now + wait, throttles.c.until.type))
                for charges, wait in steps
            ),
            (throttles.c.charges + 1 < steps[0][0], literal(now, throttles.c.until.type)),
            else_=literal(now + budget.longest, throttles.c.until.type),
        )
        first = budget.wait_after(1)
        statement = (
            insert(self._connection, throttles)
            .values(key=key, charges=1, until=now + first, charged_at=now)
            .on_conflict_do_update(
                index_elements=[throttles.c.key],
                set_={"charges": throttles.c.charges + 1, "until": until, "charged_at": now},
                where=(throttles.c.until <= now) & (throttles.c.charges < budget.limit),
            )
            .returning(throttles.c.charges)
        )
        return self._charge(statement, budget.name)

    def charge_window(self, key: bytes, budget: Window, now: datetime) -> bool:
        over = throttles.c.until <= now
        end = literal(now + budget.period, throttles.c.until.type)
        statement = (
            insert(self._connection, throttles)
            .values(key=key, charges=1, until=now + budget.period, charged_at=now)
            .on_conflict_do_update(
                index_elements=[throttles.c.key],
                set_={
                    "charges": case((over, 1), else_=throttles.c.charges + 1),
                    "until": case((over, end), else_=throttles.c.until),
                    "charged_at": now,
                },
                where=or_(over, throttles.c.charges < budget.limit),
            )
            .returning(throttles.c.charges)
        )
        return self._charge(statement, budget.name)

    def _charge(self, statement: ReturningInsert[Any], budget: str) -> bool:
        charged = self._connection.execute(statement).first() is not None
        if not charged:
            self._on_refusal(budget)
        return charged

    def refund(self, key: bytes) -> None:
        self._connection.execute(_refund, {"bucket": key})

    def clear(self, key: bytes) -> None:
        self._connection.execute(_clear, {"bucket": key})

    def failures(self, key: bytes) -> int:
        return self._connection.execute(_failures, {"key": key}).scalar() or 0


def _steps(budget: Backoff) -> list[tuple[int, timedelta]]:
    """The failures at which the wait grows, and what it grows to."""
    steps: list[tuple[int, timedelta]] = []
    charges = budget.free
    while not steps or steps[-1][1] < budget.longest:
        steps.append((charges, budget.wait_after(charges)))
        charges += 1
    return steps
