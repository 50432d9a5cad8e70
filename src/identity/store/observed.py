"""Units of work as they are told of: how long each took, how it ended, and for which request.

A unit runs in the context of whoever asked for it, whatever its thread, so that the lines that are logged inside
carry the id of the request. Sending the id to PostgreSQL costs as much again as the unit
(docs/decisions/0012-request-ids.md).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from time import perf_counter
from typing import Any, Generic

import structlog

from identity.domain.errors import DomainError, Overloaded, ServiceUnavailable
from identity.store.database import Database, R, T, Usage
from identity.store.failures import StoreError

Observe = Callable[[str, str, float], None]
"""Takes the kind of a unit, `read` or `write`, what became of it, `done`, `refused` or `failed`, and its seconds."""

EndUnit = Callable[[str], None]
"""Ends the span of a unit with what became of it."""

Trace = Callable[[str, str], EndUnit | None]
"""Begins the span of a unit, by its kind and the function that it is, if it belongs to a trace."""

_CAUSE_LENGTH = 300


class ObservedDatabase(Database[T]):
    """Another database, whose slow and failed units are logged; `observe` hears of every one, and so does `trace`."""

    def __init__(
        self,
        database: Database[T],
        slow_seconds: float,
        observe: Observe | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._database = database
        self._slow_seconds = slow_seconds
        self._observe = observe
        self._trace = trace

    @property
    def dialect(self) -> str:
        return self._database.dialect

    @property
    def is_away(self) -> bool:
        return self._database.is_away

    def read(self, fn: Callable[[T], R], /) -> R:
        return self._watch(self._database.read, self._begin("read", fn))

    def write(self, fn: Callable[[T], R], /) -> R:
        return self._watch(self._database.write, self._begin("write", fn))

    def submit_write(self, fn: Callable[[T], R], /) -> Future[R]:
        unit = self._begin("write", fn)
        try:
            future = self._database.submit_write(unit)
        except BaseException as error:
            self._end(unit, error)
            raise
        future.add_done_callback(partial(self._end_submitted, unit))
        return future

    def usage(self) -> Usage:
        return self._database.usage()

    def ping(self) -> None:
        self._database.ping()

    def close(self) -> None:
        self._database.close()

    def _begin(self, kind: str, fn: Callable[[T], R]) -> _Unit[T, R]:
        unit = _Unit(kind, fn)
        if self._trace is not None:
            unit.end_span = self._trace(kind, unit.name)
        return unit

    def _watch(self, run: Callable[[Callable[[T], R]], R], unit: _Unit[T, R]) -> R:
        try:
            result = run(unit)
        except BaseException as error:
            self._end(unit, error)
            raise
        self._end(unit, None)
        return result

    def _end_submitted(self, unit: _Unit[T, R], future: Future[R]) -> None:
        if not future.cancelled():
            # In the context of the request again: the thread that answers knows nothing of it.
            unit.context.run(self._end, unit, future.exception())

    def _end(self, unit: _Unit[T, R], error: BaseException | None) -> None:
        seconds = perf_counter() - unit.asked
        outcome = "done" if error is None else "refused" if _is_refusal(error) else "failed"
        if self._observe is not None:
            self._observe(unit.kind, outcome, seconds)
        if unit.end_span is not None:
            unit.end_span(outcome)
        if outcome == "failed":
            self._tell("unit of work failed", unit, seconds, error)
        elif seconds >= self._slow_seconds:
            self._tell("slow unit of work", unit, seconds)

    def _tell(self, event: str, unit: _Unit[T, R], seconds: float, error: BaseException | None = None) -> None:
        waited = seconds if unit.begun is None else unit.begun - unit.asked
        fields: dict[str, Any] = {
            "unit": unit.name,
            "kind": unit.kind,
            "duration_ms": round(seconds * 1000, 3),
            "waited_ms": round(waited * 1000, 3),
            "runs": unit.runs,
        }
        if error is not None:
            fields["error"] = type(error).__name__
            cause = error if isinstance(error, StoreError) else error.__cause__
            if isinstance(cause, StoreError):
                fields["cause"] = str(cause)[:_CAUSE_LENGTH]
        structlog.get_logger("identity.store").warning(event, **fields)


class _Unit(Generic[T, R]):
    """A unit of work in the context it was asked for in, and how often and since when it ran."""

    __slots__ = ("_fn", "asked", "begun", "context", "end_span", "kind", "runs")

    def __init__(self, kind: str, fn: Callable[[T], R]) -> None:
        self._fn = fn
        self.kind = kind
        self.context = copy_context()
        self.asked = perf_counter()
        self.begun: float | None = None
        self.end_span: EndUnit | None = None
        self.runs = 0

    def __call__(self, tx: T) -> R:
        if self.begun is None:
            self.begun = perf_counter()
        self.runs += 1
        return self.context.run(self._fn, tx)

    @property
    def name(self) -> str:
        """Where the function stands: `identity.domain.session.refresh:rotation.rotate`."""
        fn: Any = self._fn
        while isinstance(fn, partial):
            fn = fn.func
        return f"{fn.__module__}:{getattr(fn, '__qualname__', type(fn).__qualname__).replace('.<locals>', '')}"


def _is_refusal(error: BaseException) -> bool:
    """Whether the unit itself said no, as it does all day; the store has these two for what it cannot do."""
    return isinstance(error, DomainError) and not isinstance(error, (Overloaded, ServiceUnavailable))
