"""Time as a requirement means it: without what a busy machine adds, so that a bound can be tight and still hold."""

from __future__ import annotations

import threading
from time import monotonic, sleep
from types import TracebackType
from typing import Self

_TICK = 0.01


class Stopwatch:
    """Runs while it is used as a context.

    A thread that only ever sleeps notes how long it had to wait for its turn each time. Everybody else waited about as
    long at that moment, so that it is left out of what is measured.
    """

    def __init__(self) -> None:
        self._begun = monotonic()
        self._stalls: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._begun = monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()

    @property
    def seconds(self) -> float:
        """What has passed so far."""
        return self.between(self._begun, monotonic())

    def between(self, begun: float, ended: float) -> float:
        """What passed between two moments of the monotonic clock."""
        stalled = sum(
            min(at, ended) - max(at - stall, begun) for at, stall in self._stalls if begun < at < ended + stall
        )
        return max(0.0, ended - begun - max(0.0, stalled))

    def _run(self) -> None:
        while not self._stop.is_set():
            begun = monotonic()
            sleep(_TICK)
            ended = monotonic()
            if ended - begun > 2 * _TICK:
                self._stalls.append((ended, ended - begun - _TICK))
