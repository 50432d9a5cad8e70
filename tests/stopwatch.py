"""Time as a requirement means it: without what a busy machine adds, so that a bound can be tight and still hold."""

from __future__ import annotations

import threading
from time import monotonic, sleep
from types import TracebackType
from typing import Self

_TICK = 0.01


class Stopwatch:
    """Runs while it is used as a context.

    A thread that only ever sleeps tells how long it had to wait for its turn each time. Everybody else waited about as
    long, so that `seconds` leaves it out; `elapsed` is what the clock on the wall says.
    """

    def __init__(self) -> None:
        self._begun = monotonic()
        self._stalled = 0.0
        self._ended: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._begun = monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended = monotonic()
        self._stop.set()

    @property
    def elapsed(self) -> float:
        return (self._ended or monotonic()) - self._begun

    @property
    def seconds(self) -> float:
        return self.elapsed - min(self._stalled, self.elapsed)

    def _run(self) -> None:
        while not self._stop.is_set():
            begun = monotonic()
            sleep(_TICK)
            self._stalled += max(0.0, monotonic() - begun - _TICK)
