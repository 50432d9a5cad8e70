"""Rows of budgets, each charged by one conditional statement."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, literal, or_, select, update
from sqlalchemy.sql.dml import ReturningInsert

from identity.domain.throttles import Backoff, Window
from identity.store.insert import insert_on
from identity.store.tables import Utc, throttles

# Housekeeping leaves alone what has not ended, so that a password which is disabled until its reset stays so.
_FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)
# How far the clocks of two nodes may be apart without anybody's being wrong.
_SKEW = timedelta(seconds=5)
_failures = select(throttles.c.charges).where(throttles.c.key == bindparam("key"))
_ahead = (throttles.c.key == bindparam("bucket")) & (throttles.c.charged_at > bindparam("latest"))
_charged_ahead = select(throttles.c.charged_at, throttles.c.until).where(_ahead, throttles.c.until != _FOR_EVER)
_begin_anew = update(throttles).where(_ahead).values(charged_at=bindparam("at"), until=bindparam("end"))
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
        statement = _charge_backoff(self._connection.dialect.name, budget)
        ends = {f"after_{failures}": now + budget.wait_after(failures) for failures in _changes(budget)}
        return self._charge(statement, {"bucket": key, "now": now, **ends}, budget.name)

    def charge_window(self, key: bytes, budget: Window, now: datetime) -> bool:
        statement = _charge_window(self._connection.dialect.name, budget.limit)
        return self._charge(statement, {"bucket": key, "now": now, "end": now + budget.period}, budget.name)

    def _charge(self, statement: ReturningInsert[Any], values: dict[str, Any], budget: str) -> bool:
        charged = self._connection.execute(statement, values).first() is not None
        if not charged:
            self._begin_anew(values["bucket"], values["now"])
            self._on_refusal(budget)
        return charged

    def _begin_anew(self, key: bytes, now: datetime) -> None:
        """Let the time of a budget that was used up by a clock which was ahead begin now, and so end (F-10)."""
        row = self._connection.execute(_charged_ahead, {"bucket": key, "latest": now + _SKEW}).first()
        if row is not None:
            values = {"bucket": key, "latest": now + _SKEW, "at": now, "end": now + (row.until - row.charged_at)}
            self._connection.execute(_begin_anew, values)

    def refund(self, key: bytes) -> None:
        self._connection.execute(_refund, {"bucket": key})

    def clear(self, key: bytes) -> None:
        self._connection.execute(_clear, {"bucket": key})

    def failures(self, key: bytes) -> int:
        return self._connection.execute(_failures, {"key": key}).scalar() or 0


# These statements have many parts and are for every sign-in: each is put together once.

_now, _end = bindparam("now", type_=Utc()), bindparam("end", type_=Utc())


@cache
def _charge_backoff(dialect: str, budget: Backoff) -> ReturningInsert[Any]:
    failures = throttles.c.charges + 1
    first, *_, last = changes = _changes(budget)
    until = case(
        (failures >= budget.limit, literal(_FOR_EVER, Utc())),
        *((failures == change, bindparam(f"after_{change}", type_=Utc())) for change in changes),
        (failures < changes[1], bindparam(f"after_{first}", type_=Utc())),
        else_=bindparam(f"after_{last}", type_=Utc()),
    )
    return (
        insert_on(dialect, throttles)
        .values(key=bindparam("bucket"), charges=1, until=bindparam(f"after_{first}"), charged_at=_now)
        .on_conflict_do_update(
            index_elements=[throttles.c.key],
            set_={"charges": failures, "until": until, "charged_at": _now},
            # The free ones ask for no time: another process, or a thread that was faster, may have a later clock.
            where=or_(throttles.c.charges < budget.free, throttles.c.until <= _now)
            & (throttles.c.charges < budget.limit),
        )
        .returning(throttles.c.charges)
    )


@cache
def _charge_window(dialect: str, limit: int) -> ReturningInsert[Any]:
    over = throttles.c.until <= _now
    return (
        insert_on(dialect, throttles)
        .values(key=bindparam("bucket"), charges=1, until=_end, charged_at=_now)
        .on_conflict_do_update(
            index_elements=[throttles.c.key],
            set_={
                "charges": case((over, 1), else_=throttles.c.charges + 1),
                "until": case((over, _end), else_=throttles.c.until),
                "charged_at": _now,
            },
            where=or_(over, throttles.c.charges < limit),
        )
        .returning(throttles.c.charges)
    )


@cache
def _changes(budget: Backoff) -> tuple[int, ...]:
    """The numbers of failures at which the wait is another: the first one, and all until it is the longest."""
    changes = [1, budget.free]
    while budget.wait_after(changes[-1]) < budget.longest:
        changes.append(changes[-1] + 1)
    return tuple(changes)
