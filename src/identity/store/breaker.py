"""A circuit breaker: while the database is away, callers learn it at once instead of waiting for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from identity.domain.errors import ServiceUnavailable

# Failures in a row, with no success anywhere in between, that mean an outage. One slow statement is none; but one
# server that said nothing in all the time there was is, or callers who wait for each other would each find it out anew.
THRESHOLD = 3
# While it is open, one caller per pause is let through to look; so the service is back within a pause.
PAUSE = 0.5


class Breaker:
    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._next_look = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= THRESHOLD

    def admit(self) -> bool:
        """Whether the caller is the one that looks if the outage is over. Raises ServiceUnavailable for all others."""
        if self._failures < THRESHOLD:
            return False
        with self._lock:
            now = self._clock()
            if now < self._next_look:
                raise ServiceUnavailable(retry_after=PAUSE)
            self._next_look = now + PAUSE
            return True

    def failed(self, *, silent: bool = False) -> None:
        with self._lock:
            was_open = self.is_open
            self._failures = max(self._failures + 1, THRESHOLD if silent else 0)
            if self.is_open and not was_open:
                self._next_look = self._clock() + PAUSE

    def succeeded(self) -> None:
        if self._failures:
            with self._lock:
                self._failures = 0
