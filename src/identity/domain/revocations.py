"""Revocations: the feed by which every process learns, within a second, that a session is over (SE-04)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Revocation:
    """One session's end. After `expires_at` no access token of it can be live, so the row may go."""

    session_id: UUID
    account_id: UUID
    at: datetime
    reason: str
    expires_at: datetime


class RevocationStore(Protocol):
    """The feed's rows: only ever appended to."""

    def add(self, revocations: Iterable[Revocation]) -> None: ...

    def since(self, at: datetime) -> list[Revocation]:
        """Everything that was written at `at` or later."""


class RevokedSessions:
    """The sessions whose access tokens no longer count, as this process knows them.

    Kept complete by `learn`: at once for what this process revokes, by a poll for the rest.
    `learned_at` is the monotonic second at which the last poll began, so that a reader can refuse once that is too old,
    and `learned_until` the same moment on the wall clock, from which the next poll goes on.
    """

    def __init__(self) -> None:
        self._until: dict[UUID, datetime] = {}
        self.learned_at: float | None = None
        self.learned_until: datetime | None = None

    def __contains__(self, session_id: UUID) -> bool:
        return session_id in self._until

    def __len__(self) -> int:
        return len(self._until)

    def learn(self, revocations: Iterable[Revocation]) -> None:
        """Take revocations in; repeating one is harmless."""
        for revocation in revocations:
            self._until[revocation.session_id] = revocation.expires_at

    def forget(self, now: datetime) -> None:
        """Drop those of which no access token can be live any more."""
        for session_id in [session_id for session_id, until in list(self._until.items()) if until <= now]:
            self._until.pop(session_id, None)
