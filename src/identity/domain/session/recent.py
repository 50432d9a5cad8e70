"""What GetSession told a moment ago, for telling it again without asking the database.

One page of an application is many calls of one session. What this process changes is forgotten with the
commit that changes it; what another process changes is told within `LIFETIME`, as a sign-out is (SE-04).
Whether a session still lives is not remembered: that is decided on every call.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import Lock
from typing import Generic, TypeVar
from uuid import UUID

V = TypeVar("V")

LIFETIME = 1.0
"""Seconds for which what was read may be told."""

LIMIT = 4096
"""How many accounts are remembered at most; those read last stay."""


class Page(Generic[V]):
    """What is remembered of one account. Torn out when the account changes, and of no use after `LIFETIME`."""

    __slots__ = ("_told", "opened_at")

    def __init__(self, opened_at: float) -> None:
        self.opened_at = opened_at
        self._told: dict[UUID, tuple[V, datetime]] = {}

    def note(self, session_id: UUID, value: V, live_until: datetime) -> None:
        """Remember what was read of a session that lives until then, unless somebody ends it before."""
        self._told[session_id] = value, live_until

    def find(self, session_id: UUID, now: datetime) -> V | None:
        value, live_until = self._told.get(session_id, (None, now))
        return value if now < live_until else None


class Recent(Generic[V]):
    """The pages of the accounts. Safe from several threads."""

    def __init__(self, monotonic: Callable[[], float], limit: int = LIMIT) -> None:
        self._monotonic = monotonic
        self._limit = limit
        self._lock = Lock()
        self._pages: dict[UUID, Page[V]] = {}  # the oldest first

    def recall(self, account_id: UUID, session_id: UUID, now: datetime) -> V | None:
        """What may still be told of a session; None if it has to be read."""
        page = self._pages.get(account_id)
        if page is None or self._monotonic() - page.opened_at >= LIFETIME:
            return None
        return page.find(session_id, now)

    def open(self, account_id: UUID) -> Page[V]:
        """The page to note on what is read from now on.

        Opened before reading, so that a change meanwhile tears it out: what is noted on it then is never told.
        """
        now = self._monotonic()
        with self._lock:
            page = self._pages.get(account_id)
            if page is None or now - page.opened_at >= LIFETIME:
                self._pages.pop(account_id, None)
                if len(self._pages) >= self._limit:
                    del self._pages[next(iter(self._pages))]
                page = self._pages[account_id] = Page(now)
            return page

    def forget(self, account_id: UUID | None) -> None:
        """Tell nothing of an account again that was read before now; None is for what many accounts share."""
        with self._lock:
            if account_id is None:
                self._pages.clear()
            else:
                self._pages.pop(account_id, None)
