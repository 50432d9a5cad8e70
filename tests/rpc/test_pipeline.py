"""What is left: calls do not mix, ids travel, probes pass, hostile frames harm nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from threading import Barrier
from typing import Any
from uuid import UUID

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from tests.rpc.http2 import Http2
from tests.rpc.toy import CALLER, SERVICE, TOKEN, Served, Toy, ToyReply, ToyRequest, bearer, failure, serving

from identity.domain.callers import Caller
from identity.domain.errors import Unauthenticated
from identity.rpc.caller import calling, current_caller, current_request_id, current_source, optional_caller
from identity.rpc.health import Health, enable_reflection
from identity.rpc.limits import server_options
from identity.rpc.source import SourceReader

TRUSTING = SourceReader(["127.0.0.0/8"])
TOGETHER = 8


def authenticate_number(token: str) -> Caller:
    return replace(CALLER, account_id=UUID(int=int(token)))


def introduce() -> Any:
    source = current_source()
    return ToyReply(
        text=f"{current_caller().account_id.int} {source.address} {current_request_id()} {source.user_agent}"
    )


@pytest.mark.parametrize("method", ["Mine", "Manage", "ManageAsync"])
async def test_calls_at_the_same_time_do_not_mix(method: str) -> None:
    threads, tasks = Barrier(TOGETHER), asyncio.Barrier(TOGETHER)

    def do(_: object) -> Any:
        before = introduce()
        threads.wait(20)
        assert introduce() == before
        return before

    async def run(_: object) -> Any:
        before = introduce()
        await tasks.wait()
        assert introduce() == before
        return before

    async with serving(
        Toy(do=do, run=run),
        authenticate=authenticate_number,
        authorize=lambda *_: None,
        threads=TOGETHER,
        sources=TRUSTING,
    ) as served:

        async def call(number: int) -> str:
            metadata = (
                *bearer(str(number)),
                ("x-client-ip", f"203.0.113.{number}"),
                ("x-client-user-agent", f"agent{number}"),
                ("x-request-id", f"id{number}"),
            )
            reply = await served.call(method, metadata=metadata)
            return str(reply.text)

        seen = await asyncio.gather(*map(call, range(TOGETHER)))
        assert seen == [f"{n} 203.0.113.{n} id{n} agent{n}" for n in range(TOGETHER)]


def test_servicers_can_be_run_without_a_server() -> None:
    with calling():
        assert optional_caller() is None
        with pytest.raises(Unauthenticated):
            current_caller()
        with calling(CALLER):
            assert current_caller() is CALLER
            assert optional_caller() is CALLER
        assert optional_caller() is None


# Request ids.


async def request_id(served: Served, *ids: str, method: str = "Echo") -> str:
    call = served.call(method, metadata=[("x-request-id", value) for value in ids])
    await call.code()
    trailing = dict(await call.trailing_metadata())
    assert served.lines[-1].request_id == trailing["x-request-id"]
    return str(trailing["x-request-id"])


@pytest.mark.parametrize("method", ["Echo", "Mine"])
async def test_an_id_that_is_sent_comes_back_in_success_and_failure(method: str) -> None:
    async with serving() as served:
        for value in ("a", "A-b_c.9", "x" * 64):
            assert await request_id(served, value, method=method) == value


@pytest.mark.parametrize("ids", [(), ("",), ("x" * 65,), ("a b",), ('"',), ("a", "a"), ("a,b",)], ids=repr)
async def test_without_a_good_id_the_call_gets_one(ids: tuple[str, ...]) -> None:
    async with serving() as served:
        first, second = [await request_id(served, *ids) for _ in range(2)]
        assert first != second
        assert first not in ids


# What gRPC adds.


async def test_a_trailer_and_a_limit_for_streams_too() -> None:
    async with serving() as served:
        stream = served.stream(metadata=(*bearer(TOKEN), ("x-request-id", "one")))
        assert [reply async for reply in stream] == [ToyReply()]
        assert dict(await stream.trailing_metadata())["x-request-id"] == "one"


async def test_metrics_see_closed_sets_LO_02() -> None:
    seen: list[tuple[str, str, str]] = []

    def observe(method: str, code: str, reason: str, seconds: float) -> None:
        assert 0 < seconds < 60
        seen.append((method, code, reason))

    async with serving(observe=observe) as served:
        await served.call("Echo")
        await failure(served.call("Mine"))
        await failure(served.call("/toy.v1.ToyService/Random"))
        await failure(served.call("Unmade"))
        await served.stream(metadata=bearer(TOKEN)).read()
        assert seen == [
            (f"/{SERVICE}/Echo", "OK", ""),
            (f"/{SERVICE}/Mine", "UNAUTHENTICATED", "UNAUTHENTICATED"),
            (f"/{SERVICE}/Watch", "OK", ""),
        ]


# Probes and tools.


async def with_health(served: Served) -> tuple[grpc.aio.Server, grpc.aio.Channel, Health]:
    health = Health([SERVICE])
    server = grpc.aio.server(interceptors=(served.pipeline,))
    await health.register(server)
    enable_reflection([SERVICE], server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, grpc.aio.insecure_channel(f"127.0.0.1:{port}"), health


async def test_health_is_told_to_everybody_in_every_state() -> None:
    async with serving(in_flight=0, streams=0) as served:
        server, channel, health = await with_health(served)
        stub: Any = health_pb2_grpc.HealthStub(channel)

        async def check(service: str) -> str:
            reply = await stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
            return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))

        states = []
        for change in (None, health.serving, health.not_serving, health.serving, health.draining, health.serving):
            if change is not None:
                await change()
            states.append((await check(""), await check(SERVICE)))
        up, down = ("SERVING", "SERVING"), ("NOT_SERVING", "NOT_SERVING")
        assert states == [down, up, down, up, down, down]
        served.pipeline.drain()
        assert await check("") == "NOT_SERVING"
        assert (await failure(stub.Check(health_pb2.HealthCheckRequest(service="x")))).code == grpc.StatusCode.NOT_FOUND
        raw: Any = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert (await failure(raw(b"\xff", timeout=20))).code == grpc.StatusCode.INVALID_ARGUMENT
        watched = await stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=20).read()
        assert watched.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert served.lines == []
        await channel.close()
        await server.stop(None)


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_speaks_both_versions(version: str) -> None:
    async with serving() as served:
        server, channel, _ = await with_health(served)
        call: Any = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )(timeout=20)
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        names = {service.name for service in (await call.read()).list_services_response.service}
        assert SERVICE in names
        call.cancel()
        await channel.close()
        await server.stop(None)


async def test_without_the_setting_there_is_no_reflection_TR_06() -> None:
    async with serving() as served:
        seen = await failure(served.call("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"))
        assert seen.code == grpc.StatusCode.UNIMPLEMENTED


async def test_a_second_server_does_not_steal_the_port() -> None:
    async with serving() as served:
        for reuse_port in (False, True):
            with pytest.raises(RuntimeError, match="Failed to bind"):
                grpc.aio.server(options=server_options(reuse_port=reuse_port)).add_insecure_port(served.address)


# Frames that no library would send.


@pytest.mark.parametrize("timeout", ["99999999H", "99999999M", "1n", "0S", "999999999999H", "-1S", "x", ""])
async def test_whatever_the_timeout_says_the_server_lives_TR_03(timeout: str) -> None:
    async with serving() as served, Http2.to(served.address) as connection:
        connection.call(f"/{SERVICE}/Echo", ToyRequest(text="a"), [("grpc-timeout", timeout)])
        await connection.end_of(1)
        assert (await served.call("Echo", ToyRequest(text="b"))).text == "b"


@pytest.mark.parametrize("garbage", ["%%%", "=", "A", "é", "AAAA=AAAA", "*" * 3000])
async def test_garbage_in_binary_metadata_harms_no_neighbour_N_48(garbage: str) -> None:
    async with serving() as served, Http2.to(served.address) as connection:
        connection.call(f"/{SERVICE}/Echo", ToyRequest(text="a"), [("x-thing-bin", garbage)])
        connection.call(f"/{SERVICE}/Echo", ToyRequest(text="b"), [])
        await connection.end_of(3)
        assert b"\x0a\x01b" in connection.data[3]


@pytest.mark.parametrize("value", ["é", "a\x1b[31m", "a\r\nb", "a\0b", "\x7f"])
async def test_an_id_that_no_header_may_hold_is_not_taken_LO_02(value: str) -> None:
    async with serving() as served, Http2.to(served.address) as connection:
        connection.call(f"/{SERVICE}/Echo", ToyRequest(text="a"), [("x-request-id", value), ("authorization", value)])
        await connection.end_of(1)
        await served.call("Echo")
        assert value not in {line.request_id for line in served.lines}


async def test_a_call_without_a_body_takes_no_place_M3() -> None:
    async with serving(in_flight=1, streams=1) as served, Http2.to(served.address) as connection:
        for _ in range(20):
            connection.headers(f"/{SERVICE}/Echo", [])
        await connection.drain()
        for _ in range(3):
            await served.call("Echo")
        assert served.pipeline.in_flight == 0
