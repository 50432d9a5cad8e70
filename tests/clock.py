"""A clock that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

LEAP = timedelta(hours=1)


class ManualClock:
    """Wall time for the service under test; it only ever moves by `advance`.

    Whoever does something every now and then, such as looking if a key has ended, does it `after_leaps`.
    """

    def __init__(self, now: datetime = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)) -> None:
        self.now = now
        self.after_leaps: list[Callable[[], None]] = []

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta | None = None, /, **parts: float) -> None:
        step = by or timedelta(**parts)
        self.now += step
        if step >= LEAP:
            for catch_up in self.after_leaps:
                catch_up()
