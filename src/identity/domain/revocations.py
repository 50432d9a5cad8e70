"""Revocations: the feed by which every process learns, within a second, that a session is over (SE-04)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Revocation:
    """One session's end, or with `issued_before` only the end of its access tokens that are older.

    After `expires_at` no access token that it speaks of can be live, so the row may go.
    """

    session_id: UUID
    account_id: UUID
    at: datetime
    reason: str
    expires_at: datetime
    issued_before: datetime | None = None


class RevocationStore(Protocol):
    """The feed's rows: only ever appended to."""

    def add(self, revocations: Iterable[Revocation]) -> None: ...

    def since(self, at: datetime) -> list[Revocation]:
        """Everything that was written at `at` or later."""


class RevokedSessions:
    """The sessions whose access tokens no longer count, as this process knows them.

    Kept complete by `learn`: at once for what this process revokes, by a poll for the rest.
    `learned_at` is the monotonic second at which the last poll began, so that a reader can refuse once that is too old,
    and `learned_until` the same moment on the wall clock, from which the next poll goes on. Safe from several threads.
    """

    def __init__(self) -> None:
        self._ends: dict[UUID, Revocation] = {}
        self._listeners: list[Callable[[list[Revocation]], None]] = []
        self.learned_at: float | None = None
        self.learned_until: datetime | None = None

    def __len__(self) -> int:
        return len(self._ends)

    def covers(self, session_id: UUID, issued_at: datetime) -> bool:
        """Whether an access token of a session, issued then, no longer counts."""
        end = self._ends.get(session_id)
        return end is not None and (end.issued_before is None or issued_at < end.issued_before)

    def learn(self, revocations: Iterable[Revocation]) -> None:
        """Take revocations in; repeating one is harmless."""
        fresh = []
        for revocation in revocations:
            known = self._ends.get(revocation.session_id)
            if known is None or (known.issued_before is not None and _reaches_further(revocation, known)):
                self._ends[revocation.session_id] = revocation
                fresh.append(revocation)
        for listener in list(self._listeners) if fresh else ():
            listener(fresh)

    def learned(self, at: float, until: datetime) -> None:
        """Note that a poll which began then has been taken in; one that was overtaken by a later one tells no news."""
        if self.learned_at is None or at > self.learned_at:
            self.learned_at, self.learned_until = at, until

    def since(self, at: datetime, now: datetime) -> list[Revocation]:
        """What ended at `at` or later and may still be asked about at `now`, in the order in which it was learned."""
        return [end for end in list(self._ends.values()) if end.at >= at and end.expires_at > now]

    def listen(self, listener: Callable[[list[Revocation]], None]) -> Callable[[], None]:
        """Have `listener` told of everything new, from whatever thread learns it; call the result to end that."""
        self._listeners.append(listener)

        def stop() -> None:
            with suppress(ValueError):  # it was stopped before
                self._listeners.remove(listener)

        return stop

    def forget(self, now: datetime) -> None:
        """Drop those of which no access token can be live any more."""
        for session_id in [session_id for session_id, end in list(self._ends.items()) if end.expires_at <= now]:
            self._ends.pop(session_id, None)


def _reaches_further(revocation: Revocation, known: Revocation) -> bool:
    return (
        revocation.issued_before is None
        or known.issued_before is None
        or revocation.issued_before > known.issued_before
    )
