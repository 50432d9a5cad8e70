"""WatchRevocations: the feed of what has ended, for backends that verify tokens by themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from identity.domain.authentication import OVERLAP
from identity.domain.errors import InvalidRequest
from identity.domain.ports import World
from identity.domain.revocations import Revocation

_CURSOR = re.compile(r"r1-([0-9]{1,16})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a stream begins with; a snapshot is everything that an unexpired token could still be under."""

    revocations: list[Revocation]
    is_snapshot: bool
    cursor: str


def backlog(world: World, cursor: str | None) -> Backlog:
    """What a watcher missed since its cursor, or a snapshot without one or where it is too old.

    A cursor is a moment: every replica understands it, and after a restart too (N-02). Looking back a
    little further than it says repeats some revocations, which is harmless, and misses none that was
    committed late. Raises InvalidRequest.
    """
    now = world.clock()
    oldest = now - world.policy.lifetimes.access_token - timedelta(minutes=2)
    since = _read(cursor) - OVERLAP if cursor else None
    is_snapshot = since is None or since < oldest
    begin = oldest if since is None or is_snapshot else since
    rows = world.database.read(lambda tx: tx.revocations.since(begin))
    return Backlog([row for row in rows if row.expires_at > now], is_snapshot, cursor_at(now))


def cursor_at(moment: datetime) -> str:
    """The cursor of a moment."""
    return f"r1-{int(moment.timestamp() * 1_000_000)}"


def _read(cursor: str) -> datetime:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidRequest("The cursor is not one of this stream.", field="cursor")
    return datetime.fromtimestamp(int(found[1]) / 1_000_000, UTC)
