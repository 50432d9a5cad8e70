"""`python -m benchmarks.observing`: what it costs to count a call and to watch a unit of work, in microseconds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import thread_time
from timeit import repeat
from typing import Any

from identity.store.observed import ObservedDatabase
from identity.telemetry.metrics import Metrics
from identity.telemetry.traces import Traces

_METHOD = "/identity.v1.SessionService/GetSession"
_TIMES = 500


class _Nothing:
    """A database that does nothing, so that only watching it costs."""

    def read(self, fn: Callable[[None], object]) -> object:
        return fn(None)


def main() -> None:
    metrics, nothing = Metrics(), _Nothing()
    logged: Any = ObservedDatabase(nothing, 0.5)  # type: ignore[arg-type]
    counted: Any = ObservedDatabase(nothing, 0.5, metrics.unit)  # type: ignore[arg-type]
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # that nobody takes the spans is known
    traces = Traces("http://127.0.0.1:9", "sqlite")
    traced: Any = ObservedDatabase(nothing, 0.5, metrics.unit, traces.unit)  # type: ignore[arg-type]
    for name, run in {
        "a call, counted": lambda: metrics.call(_METHOD, "OK", "", 0.002),
        "a call, refused and counted": lambda: metrics.call(_METHOD, "UNAUTHENTICATED", "TOKEN_EXPIRED", 0.002),
        "a unit, logged when it is slow": lambda: logged.read(_unit),
        "a unit, counted too": lambda: counted.read(_unit),
        "a call, traced": lambda: traces.call(_METHOD, None).end("OK", ""),
        "a unit, counted and traced": lambda: traced.read(_unit),
    }.items():
        print(f"{name:<32}{min(repeat(run, timer=thread_time, number=_TIMES, repeat=50)) / _TIMES * 1e6:6.2f}")
    traces.stop()


def _unit(tx: None) -> None:
    """A unit of work."""


if __name__ == "__main__":
    main()
