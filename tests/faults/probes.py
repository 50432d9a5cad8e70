"""Callers who go on calling whatever happens, and a record of how each of their calls went."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from tests.running import Client, Refusal, bearer, outcome

from identity_pb.v1 import session_service_pb2 as sessions
from identity_pb.v1.resources_pb2 import SessionTokens

PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Probe:
    """One call; `code` is OK where it succeeded."""

    seat: int
    name: str
    begun: float
    ended: float
    code: grpc.StatusCode
    reason: str = ""

    @property
    def ok(self) -> bool:
        return self.code is grpc.StatusCode.OK

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


class Seat:
    """A session on one device, which holds the last tokens that arrived."""

    def __init__(self, email: str, tokens: SessionTokens) -> None:
        self.email = email
        self.tokens = tokens

    async def refresh(self, client: Client) -> object:
        answer = await client.refresh(self.tokens.refresh_token)
        self.tokens = answer.tokens
        return answer

    async def read(self, client: Client) -> object:
        return await client.get_session(self.tokens.access_token)

    async def list(self, client: Client) -> object:
        metadata = bearer(self.tokens.access_token)
        return await client.sessions.ListSessions(sessions.ListSessionsRequest(), metadata=metadata)

    async def sign_in(self, client: Client) -> object:
        return await client.login(self.email)


Habit = Callable[[Seat, Client], Awaitable[object]]

MIX: tuple[Habit, ...] = (Seat.refresh, Seat.read, Seat.list, Seat.sign_in)


class Probes:
    """What was seen so far, newest last."""

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self.seen: list[Probe] = []
        self._changed = asyncio.Event()

    async def succeed(self, since: float) -> None:
        """Returns when every seat has made a call that began after `since` and succeeded."""
        async with asyncio.timeout(PATIENCE):
            while len({probe.seat for probe in self.seen if probe.ok and probe.begun >= since}) < self._seats:
                self._changed.clear()
                await self._changed.wait()

    def note(self, probe: Probe) -> None:
        self.seen.append(probe)
        self._changed.set()


@asynccontextmanager
async def probing(
    client: Client, seats: Iterable[Seat], pause: float, mix: Iterable[Habit] = MIX
) -> AsyncIterator[Probes]:
    """Each seat makes one call after the other, of one kind, with a breath in between."""
    chairs, kinds = list(seats), list(mix)
    probes = Probes(len(chairs))

    async def go_on(number: int) -> None:
        seat, call = chairs[number], kinds[number % len(kinds)]
        while True:
            begun = monotonic()
            answer = await outcome(call(seat, client))
            code, reason = (answer.code, answer.reason) if isinstance(answer, Refusal) else (grpc.StatusCode.OK, "")
            probes.note(Probe(number, call.__name__, begun, monotonic(), code, reason))
            await asyncio.sleep(pause)

    tasks = [asyncio.create_task(go_on(number)) for number in range(len(chairs))]
    try:
        yield probes
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Readiness:
    """What the health of a service was, and since when, as a load balancer that watches it knows."""

    def __init__(self) -> None:
        self.changes: list[tuple[float, bool]] = []
        self._changed = asyncio.Event()

    async def becomes(self, ready: bool, since: float) -> float:
        """The moment after `since` at which the service said so, once it has."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for at, was_ready in self.changes:
                    if at >= since and was_ready is ready:
                        return at
                self._changed.clear()
                await self._changed.wait()

    def note(self, ready: bool) -> None:
        self.changes.append((monotonic(), ready))
        self._changed.set()


@asynccontextmanager
async def watching_health(channel: grpc.aio.Channel) -> AsyncIterator[Readiness]:
    readiness = Readiness()
    stub: Any = HealthStub(channel)
    call = stub.Watch(HealthCheckRequest())

    async def listen() -> None:
        async for answer in call:
            readiness.note(answer.status == HealthCheckResponse.SERVING)

    listening = asyncio.create_task(listen())
    try:
        await readiness.becomes(True, 0)
        yield readiness
    finally:
        call.cancel()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
