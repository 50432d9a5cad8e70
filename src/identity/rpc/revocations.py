"""The stream behind WatchRevocations: first what was missed, then what happens, with a heartbeat in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from identity.domain.errors import ServiceUnavailable
from identity.domain.ports import World
from identity.domain.revocations import Revocation
from identity.domain.session.watch_revocations import backlog, cursor_at
from identity.domain.sessions import EndReason
from identity.rpc import convert
from identity_pb.v1 import session_service_pb2 as pb

HEARTBEAT_SECONDS = 5.0
LONGEST_QUEUE = 10_000
"""A watcher that falls behind by more is cut off: its cursor brings it back."""

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
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[list[Revocation] | None] = asyncio.Queue()

    def put(fresh: list[Revocation]) -> None:
        queue.put_nowait(fresh if queue.qsize() < LONGEST_QUEUE else None)

    def hear(fresh: list[Revocation]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(put, fresh)

    # Listening begins before the look back, so that nothing falls between the two; what comes twice does no harm.
    stop = world.revoked.listen(hear)
    try:
        missed = await asyncio.to_thread(backlog, world, cursor)
        for revocation in missed.revocations:
            yield _message(revocation, missed.cursor, snapshot=missed.is_snapshot)
        if missed.is_snapshot:
            yield pb.WatchRevocationsResponse(
                cursor=missed.cursor, snapshot=True, snapshot_complete=pb.SnapshotComplete()
            )
        else:
            yield _heartbeat(world)
        while True:
            try:
                fresh = await asyncio.wait_for(queue.get(), HEARTBEAT_SECONDS)
            except TimeoutError:
                yield _heartbeat(world)
                continue
            if fresh is None:
                raise ServiceUnavailable(retry_after=1)
            for revocation in fresh:
                yield _message(revocation, cursor_at(world.clock()), snapshot=False)
    finally:
        stop()


def _heartbeat(world: World) -> pb.WatchRevocationsResponse:
    now = world.clock()
    return pb.WatchRevocationsResponse(cursor=cursor_at(now), heartbeat=pb.Heartbeat(at=convert.timestamp(now)))


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
