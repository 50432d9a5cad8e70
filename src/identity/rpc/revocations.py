"""The stream behind WatchRevocations: first what was missed, then what happens, with a heartbeat in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

from identity.domain.authentication import check_fresh
from identity.domain.errors import ServiceUnavailable
from identity.domain.ports import World
from identity.domain.revocations import Revocation
from identity.domain.session.watch_revocations import backlog, complete_until
from identity.domain.sessions import EndReason
from identity.rpc import convert
from identity_pb.v1 import session_service_pb2 as pb

HEARTBEAT_SECONDS = 5.0
LONGEST_QUEUE = 1_000
"""Revocations that may wait for a watcher; one that falls behind by more is cut off, and its cursor brings it back."""

_REASON = {
    EndReason.SIGNED_OUT: pb.REVOCATION_REASON_SIGNED_OUT,
    EndReason.REVOKED: pb.REVOCATION_REASON_REVOKED,
    EndReason.PASSWORD: pb.REVOCATION_REASON_PASSWORD,
    EndReason.FACTOR: pb.REVOCATION_REASON_FACTOR,
    EndReason.ACCOUNT: pb.REVOCATION_REASON_ACCOUNT,
    EndReason.MEMBERSHIP: pb.REVOCATION_REASON_MEMBERSHIP,
    EndReason.REUSE: pb.REVOCATION_REASON_REUSE,
}


async def watch(world: World, cursor: str | None) -> AsyncIterator[pb.WatchRevocationsResponse]:
    """Yield revocations as this process learns of them. Raises InvalidRequest or ServiceUnavailable."""
    # Listening begins before the look back, so that nothing falls between the two; what comes twice does no harm.
    ear = _Ear(world)
    try:
        missed = backlog(world, cursor)
        for revocation in missed.revocations:
            # Whoever breaks off before the end has to begin again: what comes is in no order that a cursor could name.
            yield _message(revocation, missed.begin, snapshot=missed.is_snapshot)
        cursor = missed.cursor
        if missed.is_snapshot:
            yield pb.WatchRevocationsResponse(cursor=cursor, snapshot=True, snapshot_complete=pb.SnapshotComplete())
        else:
            yield _heartbeat(world, cursor)
        while True:
            # What was known by now is heard before the wait for more is over.
            known = complete_until(world)
            try:
                fresh, until = await asyncio.wait_for(ear.hear(), HEARTBEAT_SECONDS)
            except TimeoutError:
                check_fresh(world)
                cursor = known
                yield _heartbeat(world, cursor)
                continue
            for message in _batch(fresh, cursor, until):
                yield message
            cursor = until
    finally:
        ear.stop()


class _Ear:
    """What one watcher has not been told yet, in batches; each with the cursor that is right once it was told."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = asyncio.get_running_loop()
        self._batches: asyncio.Queue[tuple[list[Revocation], str] | None] = asyncio.Queue()
        self._waiting = 0
        self.stop = world.revoked.listen(self._notice)

    async def hear(self) -> tuple[list[Revocation], str]:
        """The next batch. Raises ServiceUnavailable for a watcher that was too slow."""
        batch = await self._batches.get()
        if batch is None:
            raise ServiceUnavailable(retry_after=1)
        self._waiting -= len(batch[0])
        return batch

    def _notice(self, fresh: list[Revocation]) -> None:
        # In whatever thread learned of it. The cursor is that of the poll before, whose news are ahead in the queue.
        batch = fresh, complete_until(self._world)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._put, batch)

    def _put(self, batch: tuple[list[Revocation], str]) -> None:
        if self._waiting > LONGEST_QUEUE:
            # A watcher that stands still holds on to nothing; the next thing it hears is that it is cut off.
            self.stop()
            while not self._batches.empty():
                self._batches.get_nowait()
            self._batches.put_nowait(None)
            return
        self._waiting += len(batch[0])
        self._batches.put_nowait(batch)


def _batch(fresh: list[Revocation], cursor: str, until: str) -> Iterator[pb.WatchRevocationsResponse]:
    """Only the last message moves the cursor: the others of a batch would be missed by whoever broke off there."""
    last = len(fresh) - 1
    for number, revocation in enumerate(fresh):
        yield _message(revocation, until if number == last else cursor, snapshot=False)


def _heartbeat(world: World, cursor: str) -> pb.WatchRevocationsResponse:
    return pb.WatchRevocationsResponse(cursor=cursor, heartbeat=pb.Heartbeat(at=convert.timestamp(world.clock())))


def _message(revocation: Revocation, cursor: str, *, snapshot: bool) -> pb.WatchRevocationsResponse:
    return pb.WatchRevocationsResponse(
        cursor=cursor,
        snapshot=snapshot,
        revocation=pb.Revocation(
            session_id=str(revocation.session_id),
            issued_before=convert.timestamp(revocation.issued_before),
            reason=_REASON[EndReason(revocation.reason)],
            revoked_at=convert.timestamp(revocation.at),
            forget_at=convert.timestamp(revocation.expires_at),
        ),
    )
