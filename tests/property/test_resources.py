"""P-18: however strangers behave on their connections, what they cost is given back when they are gone (F-15, F-21).

Crowds of visitors of every kind, drawn at random: silent ones, half handshakes, garbage, headers without a body, slow
bodies, resets, abandoned streams, calls that are hung up on, and honest ones among them. Ten seconds after a crowd has
left, the process holds what it held before.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from random import Random
from time import monotonic

import grpc.aio
import pytest_asyncio
from tests.child import Child, child
from tests.conftest import FreshDatabase
from tests.effort import FIXED_SEED, effort
from tests.mailbox import Mailbox
from tests.rpc.http2 import PREFACE, RST_STREAM, Http2, frame
from tests.running import WRONG_PASSWORD, Client, outcome

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import session_service_pb2 as sessions

CROWD, WITHIN, GROWTH = 40, 10.0, 16 * 2**20
LOGIN = "/identity.v1.AuthService/Login"
REQUEST = auth.LoginRequest(identifier="nobody@example.org", password=WRONG_PASSWORD).SerializeToString()
_log = logging.getLogger(__name__)


class Visitor:
    """Somebody with a connection of their own, who stays for a moment that everybody shares."""

    def __init__(self, address: str, rng: Random, leaving: asyncio.Event) -> None:
        self._address, self._rng, self._leaving = address, rng, leaving

    async def visit(self) -> None:
        kinds = [self.silent, self.garbage, self.abort, self.no_body, self.slow_body, self.reset]
        kinds += [self.call, self.hang_up, self.watch, self.flood]
        with suppress(ConnectionError, grpc.aio.AioRpcError, asyncio.IncompleteReadError):
            await self._rng.choice(kinds)()

    # On a bare connection.

    async def silent(self) -> None:
        """Half a handshake, of any length, and then nothing."""
        async with self._connected() as writer:
            writer.write(PREFACE[: self._rng.randrange(len(PREFACE) + 1)])
            await self._leaving.wait()

    async def garbage(self) -> None:
        async with self._connected() as writer:
            writer.write(self._rng.choice([b"", PREFACE]) + self._rng.randbytes(self._rng.randrange(2000)))
            await self._leaving.wait()

    async def abort(self) -> None:
        """Gone in the middle of something, without a farewell."""
        async with self._connected() as writer:
            writer.write(PREFACE + frame(4, 0, 0, b""))
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    # In HTTP/2.

    async def no_body(self) -> None:
        """Calls that begin, and whose message never comes."""
        async with Http2.to(self._address) as connection:
            for _ in range(self._rng.randrange(1, 20)):
                connection.headers(LOGIN, ())
            await connection.drain()
            await self._leaving.wait()

    async def slow_body(self) -> None:
        """A message of which one part never comes."""
        async with Http2.to(self._address) as connection:
            stream = connection.headers(LOGIN, ())
            body = b"\0" + len(REQUEST).to_bytes(4, "big") + REQUEST
            connection._writer.write(frame(0, 0, stream, body[: self._rng.randrange(len(body))]))
            await connection.drain()
            await self._leaving.wait()

    async def reset(self) -> None:
        """Calls that are taken back as soon as they are made."""
        async with Http2.to(self._address) as connection:
            for _ in range(self._rng.randrange(1, 30)):
                stream = connection.headers(LOGIN, ())
                connection._writer.write(frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big")))
            await connection.drain()

    # With a real client.

    async def call(self) -> None:
        async with self._client() as client:
            await outcome(client.auth.Login(auth.LoginRequest.FromString(REQUEST)))

    async def hang_up(self) -> None:
        """A call that is cancelled after a while, whatever it does by then."""
        async with self._client() as client:
            call = client.auth.Login(auth.LoginRequest.FromString(REQUEST))
            await asyncio.sleep(self._rng.random() * 0.02)
            call.cancel()

    async def watch(self) -> None:
        """A stream that is refused, or left."""
        async with self._client() as client:
            call = client.sessions.WatchRevocations(sessions.WatchRevocationsRequest())
            reading = asyncio.ensure_future(outcome(call.read()))
            await self._leaving.wait()
            call.cancel()
            await asyncio.wait([reading])

    async def flood(self) -> None:
        async with self._client() as client:
            calls = (client.auth.GetSetupStatus(auth.GetSetupStatusRequest()) for _ in range(20))
            await asyncio.gather(*map(outcome, calls))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncio.StreamWriter]:
        host, _, port = self._address.rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        try:
            yield writer
        finally:
            writer.close()

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(self._address, options) as channel:
            yield Client(channel)


@pytest_asyncio.fixture
async def service(fresh_database: FreshDatabase, tmp_path: Path, mailbox: Mailbox) -> AsyncIterator[Child]:
    """A process of its own, whose files are nobody else's."""
    async with AsyncExitStack() as stack:
        url = stack.enter_context(fresh_database())
        yield await stack.enter_async_context(child(tmp_path, database_url=url, mail_url=mailbox.url))


async def crowd(service: Child, rng: Random) -> None:
    """Visitors who come at once, and of whom nobody is left afterwards."""
    leaving = asyncio.Event()
    visitors = [Visitor(service.address, Random(rng.random()), leaving) for _ in range(CROWD)]
    visits = [asyncio.create_task(visitor.visit()) for visitor in visitors]
    await asyncio.wait(visits, timeout=0.3)
    leaving.set()
    await asyncio.gather(*visits)


async def test_P_18_F_15_what_visitors_cost_is_given_back(service: Child) -> None:
    """Files and tasks are as before ten seconds after a crowd has left, and memory does not grow with their number."""
    _log.warning("IDENTITY_TEST_SEED=%d", FIXED_SEED)  # pytest shows it with a failure
    rng = Random(FIXED_SEED)
    # What is opened once and kept, as threads are.
    await Visitor(service.address, rng, asyncio.Event()).flood()
    await crowd(service, rng)
    await asyncio.sleep(0)
    files, tasks, memory = await settled(service, None)
    for _ in range(effort(2, 100)):
        await crowd(service, rng)
        _, _, memory_now = await settled(service, (files, tasks))
        assert memory_now < memory + GROWTH
    assert service.is_alive and "call failed" not in service.log


async def settled(service: Child, held: tuple[int, int] | None) -> tuple[int, int, int]:
    """What the process holds, once that is no more than before; or, the first time, once it does not get less."""
    give_up_at, seen = monotonic() + WITHIN, (10**9, 10**9, 0)
    while True:
        now = await service.resources()
        if (now[0] <= held[0] and now[1] <= held[1]) if held else (now[:2] == seen[:2]):
            return now
        assert monotonic() < give_up_at, f"{now} after {WITHIN} seconds, {held} before"
        seen = now
        await asyncio.sleep(0.3)
