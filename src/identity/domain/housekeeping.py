"""Housekeeping: what nobody will ask for again leaves, in small batches.

It only frees space. Whether something counts is decided by its own times at the moment of use, so
that a sweep that never runs opens nothing (F-24).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from identity.domain.ports import World


BATCH = 200
"""Rows of one table that one unit of work removes at most: a short lock, whatever has piled up."""

KEEP_ENDED = timedelta(days=30)
"""How long ended sessions and unused budgets stay: an old token that comes back is recognised, and so is a device."""

KEEP_FINISHED = timedelta(days=7)
"""How long used or expired tokens and finished mails stay, for truthful answers and for people to look at."""


class HousekeepingStore(Protocol):
    """Removal across tables."""

    def sweep(self, now: datetime, *, keep_ended: timedelta, keep_finished: timedelta, batch: int) -> int:
        """Remove at most `batch` rows of each table, and return how many were removed in all."""


def sweep(world: World) -> int:
    """Remove everything whose time is long over; returns the number of rows."""
    removed = 0
    now = world.clock()
    while True:
        step = world.database.write(
            lambda tx: tx.housekeeping.sweep(now, keep_ended=KEEP_ENDED, keep_finished=KEEP_FINISHED, batch=BATCH)
        )
        removed += step
        if step < BATCH:
            return removed
