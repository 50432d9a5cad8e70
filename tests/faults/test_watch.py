"""WatchRevocations: nothing is missed, whatever breaks, and nobody who watches can hurt the others (N-02, SE-04)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from tests.child import child
from tests.clock import ManualClock
from tests.conftest import FreshDatabase, Launch
from tests.faults.conftest import Nodes
from tests.faults.watching import Watch, backend
from tests.mailbox import Mailbox
from tests.rpc.http2 import Http2
from tests.running import Client, Running, bearer, refused
from tests.stopwatch import Stopwatch

from identity.domain.authentication import learn_revocations
from identity.domain.revocations import Revocation
from identity.domain.service_access import create_service_key, learn_service_keys, revoke_service_key
from identity.domain.sessions import EndReason
from identity.rpc.revocations import LONGEST_QUEUE
from identity_pb.v1 import session_service_pb2 as pb

WATCH = "/identity.v1.SessionService/WatchRevocations"
_numbers = count(1)
told_from_memory = pytest.mark.parametrize("fresh_database", ["sqlite"], indirect=True)


async def ended_session(node: Running) -> str:
    """The id of a session that has just ended."""
    signed_in = await node.signed_in()
    await node.sign_out(signed_in.tokens.access_token)
    return signed_in.session.id


async def test_SE_04_what_ends_on_one_node_is_told_by_the_other_within_a_second(nodes: Nodes) -> None:
    async with Watch(nodes.two.sessions, backend(nodes.one, nodes.two)) as watch:
        await watch.begun()
        for _ in range(3):
            session_id = await ended_session(nodes.one)
            with Stopwatch() as stopwatch:
                message = await watch.until_told_of(session_id)
            assert stopwatch.seconds < 1
            assert not message.snapshot


async def test_N_02_a_snapshot_that_breaks_off_is_begun_again(nodes: Nodes) -> None:
    """Messages of a snapshot come in no order that a cursor could name: no cursor in it leads past the rest."""
    key, ended = backend(nodes.one), {await ended_session(nodes.one) for _ in range(6)}
    async with Watch(nodes.one.sessions, key) as watch:
        for _ in range(3):
            await watch.next()
    async with Watch(nodes.one.sessions, key, watch.cursor) as again:
        await again.begun()
    assert ended <= again.told
    assert again.messages[-1].HasField("snapshot_complete")


@told_from_memory
async def test_N_02_a_batch_that_breaks_off_is_told_again(launch: Launch) -> None:
    """A node that was away learns much at once, and old at that: a cursor in the middle skips none of it."""
    one = await launch()
    two = await launch(database_url=one.database_url, clock=one.clock)
    key, ended = backend(one, two), set()
    async with Watch(two.sessions, key) as watch:
        await watch.begun()
        await two.service._tending.stop()
        for _ in range(6):
            ended.add(await ended_session(one))
        one.clock.advance(minutes=2)
        await asyncio.to_thread(learn_revocations, two.world)
        for _ in range(3):
            await watch.next()
    async with Watch(one.sessions, key, watch.cursor) as again:
        await again.begun()
    assert ended <= again.told
    assert not again.messages[-1].HasField("snapshot_complete")  # it went on, and did not begin again


@told_from_memory
async def test_AV_02_a_node_that_cannot_know_ends_its_streams_and_claims_nothing(launch: Launch) -> None:
    """While a node is cut off, its heartbeats move no cursor past what it has learned; then it sends watchers away."""
    one = await launch()
    two = await launch(database_url=one.database_url, clock=one.clock)
    key = backend(one, two)
    async with Watch(two.sessions, key) as watch:
        await watch.begun()
        await two.service._tending.stop()
        session_id = await ended_session(one)
        one.clock.advance(minutes=2)
        assert (await watch.ended()).code is grpc.StatusCode.UNAVAILABLE
        assert session_id not in watch.told
    async with Watch(one.sessions, key, watch.cursor) as elsewhere:
        await elsewhere.begun()
    assert session_id in elsewhere.told


async def test_N_02_a_cursor_outlives_kill_9_and_leads_on_without_a_gap(
    fresh_database: FreshDatabase, tmp_path: Path, mailbox: Mailbox, launch: Launch
) -> None:
    """What ended before the kill, while nothing ran, and after the restart: all of it is told, and refused."""
    with fresh_database() as url:
        one = await launch(database_url=url, clock=ManualClock(datetime.now(UTC)))
        key = backend(one)
        settings: dict[str, Any] = {"database_url": url, "mail_url": mailbox.url}
        signed_in = [await one.signed_in() for _ in range(3)]
        async with (
            child(tmp_path, **settings) as two,
            grpc.aio.insecure_channel(two.address) as channel,
            Watch(Client(channel).sessions, key) as watch,
        ):
            await watch.begun()
            await one.sign_out(signed_in[0].tokens.access_token)
            await watch.until_told_of(signed_in[0].session.id)
            two.kill()
            assert await two.ended() == -9
            await watch.ended()
        await one.sign_out(signed_in[1].tokens.access_token)
        async with child(tmp_path, **settings) as two, grpc.aio.insecure_channel(two.address) as channel:
            client = Client(channel)
            async with Watch(client.sessions, key, watch.cursor) as again:
                await again.begun()
                assert signed_in[1].session.id in again.told
                assert not any(message.snapshot for message in again.messages)
                await one.sign_out(signed_in[2].tokens.access_token)
                await again.until_told_of(signed_in[2].session.id)
            for ended in signed_in:
                assert (await refused(client.get_session(ended.tokens.access_token))).reason == "SESSION_REVOKED"


async def test_JW_05_a_key_that_is_revoked_is_told_nothing_more(nodes: Nodes) -> None:
    name = f"watcher {next(_numbers)}"
    token = create_service_key(nodes.one.world, name, ["session:watch"])
    learn_service_keys(nodes.one.world)
    async with Watch(nodes.one.sessions, bearer(token)) as watch:
        await watch.begun()
        revoke_service_key(nodes.one.world, name)
        learn_service_keys(nodes.one.world)
        session_id = await ended_session(nodes.one)
        assert (await watch.ended()).code is grpc.StatusCode.UNAUTHENTICATED
    assert session_id not in watch.told


@told_from_memory
async def test_F_18_a_node_that_drains_sends_its_watchers_on(launch: Launch) -> None:
    """The stream ends with UNAVAILABLE before the node is gone, and its cursor goes on at the other."""
    one = await launch()
    two = await launch(database_url=one.database_url, clock=one.clock)
    key = backend(one, two)
    async with Watch(two.sessions, key) as watch:
        await watch.begun()
        stopping = asyncio.create_task(two.service.stop())
        refusal = await watch.ended()
        assert (refusal.code, refusal.retry_after) == (grpc.StatusCode.UNAVAILABLE, 1.0)
        await stopping
    session_id = await ended_session(one)
    async with Watch(one.sessions, key, watch.cursor) as elsewhere:
        await elsewhere.begun()
    assert session_id in elsewhere.told


@told_from_memory
async def test_F_15_a_watcher_that_stands_still_is_cut_off_and_comes_back(launch: Launch) -> None:
    """Whoever does not read fills no memory; the cursor of the last message read brings back all the rest."""
    node = await launch()
    key, ended = backend(node), set[str]()
    async with Http2.to(node.service.address, window=4096) as slow:
        stream = slow.call(WATCH, pb.WatchRevocationsRequest(), key)
        await until(lambda: slow.messages(stream))
        for _ in range(4):
            ended |= await end_many(node, LONGEST_QUEUE // 2 + 1)
        slow.open_window(stream, 2**30)
        await slow.end_of(stream)
        told = [pb.WatchRevocationsResponse.FromString(message) for message in slow.messages(stream)]
    assert len(told) < len(ended)
    async with Watch(node.sessions, key, told[-1].cursor) as again:
        await again.begun()
    assert ended <= {message.revocation.session_id for message in told} | again.told


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def end_many(node: Running, count: int) -> set[str]:
    """The ids of sessions that ended somewhere else all at once, as soon as the node knows of it."""
    now, known = node.clock.now, len(node.world.revoked)
    until_then = now + timedelta(minutes=16)
    batch = [Revocation(uuid4(), uuid4(), now, EndReason.SIGNED_OUT, until_then) for _ in range(count)]

    def add(tx: Any) -> None:
        tx.revocations.add(batch)

    await asyncio.to_thread(node.world.database.write, add)
    await until(lambda: len(node.world.revoked) == known + count)
    return {str(end.session_id) for end in batch}
