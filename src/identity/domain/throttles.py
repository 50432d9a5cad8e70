"""Throttles: budgets that are charged before a secret is looked at (LG-02, LG-04, RC-03).

A budget is one row, charged by one conditional statement, so that parallel guesses on any number of
connections and replicas share it. Keys are keyed digests: no address is at rest in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Backoff:
    """Consecutive failures: `free` ones, then a wait that doubles from `first` to `longest`; `limit` ends it.

    The numbers are LG-02's: 5 free, 1 s to 15 min, and after 100 the password is disabled until reset.
    `name` is what metrics call the budget.
    """

    name: str
    free: int = 5
    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(minutes=15)
    limit: int = 100

    def wait_after(self, failures: int) -> timedelta:
        """How long the next attempt must wait after this many failures in a row."""
        if failures < self.free:
            return timedelta(0)
        return min(self.first * (1 << (failures - self.free)), self.longest)


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` charges within `period`, counted from the first. `name` is what metrics call the budget."""

    name: str
    limit: int
    period: timedelta


PASSWORD_ATTEMPTS = Backoff("password_attempts")
SOURCE_FAILURES = Window("source_failures", limit=100, period=timedelta(minutes=15))
SOURCE_REGISTRATIONS = Window("source_registrations", limit=30, period=timedelta(hours=1))
SOURCE_MAILS = Window("source_mails", limit=20, period=timedelta(hours=1))
ADDRESS_MAILS = Window("address_mails", limit=1, period=timedelta(seconds=60))


class ThrottleStore(Protocol):
    """Rows of budgets."""

    def charge_backoff(self, key: bytes, budget: Backoff, now: datetime) -> bool:
        """Count an attempt; False, and nothing counted, while the last failures still cost a wait."""

    def charge_window(self, key: bytes, budget: Window, now: datetime) -> bool:
        """Count an attempt; False, and nothing counted, when the window is used up."""

    def refund(self, key: bytes) -> None:
        """Take one charge of a window back."""

    def clear(self, key: bytes) -> None:
        """Forget every failure."""

    def failures(self, key: bytes) -> int:
        """How many charges stand."""
