"""What is compared: the Echo, and the calls that a signed-in person makes, on either engine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter, thread_time
from typing import Any

import bcrypt
import grpc.aio
from google.protobuf.wrappers_pb2 import StringValue

from benchmarks import echo, people
from benchmarks.load import Call, Sample
from benchmarks.servers import Server
from identity_pb.v1.auth_service_pb2 import LoginRequest
from identity_pb.v1.auth_service_pb2_grpc import AuthServiceStub
from identity_pb.v1.session_service_pb2 import GetSessionRequest, RefreshSessionRequest
from identity_pb.v1.session_service_pb2_grpc import SessionServiceStub

ECHO = "Echo"
ENGINES = ("SQLite", "PostgreSQL")


@dataclass(frozen=True, slots=True)
class Arm:
    """One call on one server."""

    name: str
    engine: str
    server: Server
    call: Call


def echo_arm(server: Server, channel: grpc.aio.Channel) -> Arm:
    stub, request = echo.stub(channel), StringValue(value="x" * 100)

    async def call(_: int) -> None:
        await stub(request)

    return Arm(ECHO, "", server, call)


async def session_arms(engine: str, server: Server, channel: grpc.aio.Channel, workers: int) -> list[Arm]:
    """Sign one person in for each worker, and give the calls that follow."""
    stub: Any = SessionServiceStub(channel)
    login: Any = AuthServiceStub(channel).Login
    refresh_tokens: list[str] = []
    bearers: list[tuple[tuple[str, str], ...]] = []
    for number in range(workers):
        tokens = (await login(login_request(number))).session.tokens
        refresh_tokens.append(tokens.refresh_token)
        bearers.append((("authorization", f"Bearer {tokens.access_token}"),))

    async def refresh(number: int) -> None:
        response = await stub.RefreshSession(RefreshSessionRequest(refresh_token=refresh_tokens[number]))
        refresh_tokens[number] = response.tokens.refresh_token

    async def get(number: int) -> None:
        await stub.GetSession(GetSessionRequest(), metadata=bearers[number])

    return [Arm("RefreshSession", engine, server, refresh), Arm("GetSession", engine, server, get)]


def login_arm(engine: str, server: Server, channel: grpc.aio.Channel) -> Arm:
    stub: Any = AuthServiceStub(channel)

    async def login(number: int) -> None:
        await stub.Login(login_request(number))

    return Arm("Login", engine, server, login)


def login_request(number: int) -> LoginRequest:
    return LoginRequest(identifier=people.email(number), password=people.PASSWORD)


async def hash_alone(cost: int, seconds: float) -> Sample:
    """The bare hash in one thread of this process, in the shape of an arm's sample."""

    def run() -> Sample:
        secret = b"x" * 64  # as long as the keyed pre-hash that the service feeds it
        stored = bcrypt.hashpw(secret, bcrypt.gensalt(cost))
        count, cpu, begun = 0, thread_time(), perf_counter()
        while perf_counter() - begun < seconds:
            bcrypt.checkpw(secret, stored)
            count += 1
        elapsed, used = perf_counter() - begun, thread_time() - cpu
        return Sample(count, elapsed, used, 0.0, elapsed / count, elapsed / count)

    return await asyncio.to_thread(run)
