"""WatchRevocations: the feed of what has ended, for backends that verify tokens by themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from identity.domain.authentication import OVERLAP, check_fresh, oldest_that_counts
from identity.domain.errors import InvalidRequest, ServiceUnavailable
from identity.domain.ports import World
from identity.domain.revocations import Revocation

_CURSOR = re.compile(r"r1-([0-9]{1,16})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a stream begins with; a snapshot is everything that an unexpired token could still be under.

    `begin` goes on before the first of it, `cursor` behind the last.
    """

    revocations: list[Revocation]
    is_snapshot: bool
    begin: str
    cursor: str


def backlog(world: World, cursor: str | None) -> Backlog:
    """What a watcher missed since its cursor, or a snapshot without one or where it is too old.

    A cursor is a moment until which a process had learned of everything: every replica understands it, and after
    a restart too (N-02). Looking back a little further than it says repeats some revocations, which is harmless,
    and misses none that was committed late. Told from memory, so that many watchers who come at once, as after a
    restart, share what they are told. Raises InvalidRequest or ServiceUnavailable.
    """
    check_fresh(world)
    now, end = world.clock(), complete_until(world)
    oldest = oldest_that_counts(world, now)
    if cursor and (since := _read(cursor) - OVERLAP) >= oldest:
        return Backlog(world.revoked.since(since, now), False, cursor, end)
    return Backlog(world.revoked.since(oldest, now), True, cursor_at(oldest), end)


def complete_until(world: World) -> str:
    """The cursor that goes on behind everything this process has learned of.

    Never the present moment: a process that cannot reach the database would claim to have told what it does not know.
    """
    learned_until = world.revoked.learned_until
    if learned_until is None:
        raise ServiceUnavailable(retry_after=1)
    return cursor_at(learned_until)


def cursor_at(moment: datetime) -> str:
    """The cursor of a moment."""
    return f"r1-{int(moment.timestamp() * 1_000_000)}"


def _read(cursor: str) -> datetime:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise InvalidRequest("The cursor is not one of this stream.", field="cursor")
    return datetime.fromtimestamp(int(found[1]) / 1_000_000, UTC)
