"""What is not a good request is INVALID_ARGUMENT, whatever it is (TR-05, M2, M16, F-16, N-51)."""

from __future__ import annotations

import gzip
from typing import Any

import grpc
import grpc.aio
import protovalidate
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.rpc.toy import SERVICE, TOKEN, Failure, Served, Toy, ToyReply, ToyRequest, bearer, failure, rule, serving

from identity.domain.errors import InvalidRequest
from identity.rpc.errors import InvalidFields, to_answer
from identity.rpc.limits import MAX_MESSAGE_BYTES
from identity.rpc.requests import compile_rules, parse, validate
from identity_pb.v1 import auth_service_pb2, session_service_pb2

TEXT, INNER = 1, 3


def nested(depth: int, kernel: bytes = b"") -> bytes:
    raw = kernel
    for _ in range(depth):
        raw = rule(INNER, raw)
    return raw


def read(raw: bytes) -> Any:
    request = parse(raw, ToyRequest.FromString)
    validate(request, len(raw))
    return request


def violations(raw: bytes) -> dict[str, str]:
    with pytest.raises(InvalidFields) as caught:
        read(raw)
    return {violation.field: violation.reason for violation in caught.value.violations}


MALFORMED = {
    "garbage": b"\xff\xff\xff\xff",
    "cut short": b"\x0a\x05ab",
    "group without an end": b"\x0b",
    "end without a group": b"\x0c",
    "field zero": b"\x00\x00",
    "bad UTF-8": rule(TEXT, b"\xff\xfe"),
    "overlong NUL": rule(TEXT, b"\xc0\x80"),
    "surrogate": rule(TEXT, b"\xed\xa0\x80"),
    "nesting 101": nested(101),
    "nesting 5000": nested(5000),
    "nested groups": b"\x1b" * 5000,
    "endless number": b"\x08" + b"\xff" * 11,
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("method", ["Echo", "Mine", "Watch"])
async def test_malformed_bytes_are_the_clients_fault_TR_05(method: str, raw: bytes) -> None:
    async with serving() as served:
        call = stream(served, raw) if method == "Watch" else served.call(method, raw, metadata=bearer(TOKEN))
        seen = await failure(call)
        assert (seen.code, seen.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert seen.message == "The request cannot be read."


def stream(served: Served, raw: bytes) -> Any:
    watch: Any = served.channel.unary_stream(f"/{SERVICE}/Watch")
    return watch(raw, metadata=bearer(TOKEN), timeout=20).read()


def test_nesting_that_protobuf_reads_is_read_N_51() -> None:
    read(nested(99))
    assert violations(nested(99, rule(TEXT, b"\0"))) == {"inner." * 99 + "text": "STRING_NUL"}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_an_InvalidRequest_F_16(raw: bytes) -> None:
    try:
        read(raw)
    except InvalidRequest as error:
        to_answer(error)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60))
async def test_no_bytes_are_UNKNOWN_or_INTERNAL_over_the_wire_F_16(raw: bytes) -> None:
    async with serving(log=lambda *_: None) as served:
        try:
            await served.call("Echo", raw)
        except grpc.aio.AioRpcError as error:
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT


# NUL.


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (ToyRequest(text="a\0b"), "text"),
        (ToyRequest(tags=["a", "\0"]), "tags[1]"),
        (ToyRequest(inner=ToyRequest(inner=ToyRequest(tags=["\0"]))), "inner.inner.tags[0]"),
        (ToyRequest(labels={"a": "\0"}), "labels[]"),
        (ToyRequest(labels={"\0": "a"}), "labels[]"),
    ],
    ids=str,
)
def test_NUL_is_refused_in_every_string_M16(request_: Any, field: str) -> None:
    assert violations(request_.SerializeToString()) == {field: "STRING_NUL"}


def test_zero_bytes_elsewhere_are_no_NUL() -> None:
    raw = ToyRequest(text="a", blob=b"\0\0").SerializeToString() + rule(TEXT, b"") + rule(99, b"\0")
    assert read(raw).blob == b"\0\0"


# The rules of the contract.


async def test_violations_name_fields_and_rules_and_never_values() -> None:
    canary = "canary-canary-canary"
    request = ToyRequest(text=canary, tags=["ok", canary], inner=ToyRequest(text=canary), labels={canary: canary})
    async with serving() as served:
        seen = await failure(served.call("Echo", request))
        assert (seen.code, seen.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert set(seen.violations) == {"text", "tags[1]", "inner.text", "labels[]"}
        assert set(seen.violations.values()) == {"STRING_MAX_LEN"}
        assert "canary" not in repr(seen)
        assert "canary" not in repr(served.lines)


def test_a_map_key_is_not_told_since_it_is_a_value() -> None:
    assert set(violations(ToyRequest(labels={"canary": "too long"}).SerializeToString())) == {"labels[]"}


def test_a_report_is_short_whatever_was_sent() -> None:
    """A client could not take a long one: its metadata has a limit too."""
    assert len(violations(ToyRequest(tags=["x" * 5] * 200).SerializeToString())) == 16
    many = ToyRequest(tags=["x" * 5] * 5000).SerializeToString()
    assert violations(many) == {"tags[0]": "STRING_MAX_LEN"}
    with pytest.raises(InvalidFields) as caught:
        read(ToyRequest(tags=["x" * 5] * 200).SerializeToString())
    assert sum(len(value) for _, value in to_answer(caught.value).trailing_metadata) < 4096


def test_every_rule_of_the_contract_makes_sense() -> None:
    services = (auth_service_pb2, session_service_pb2)
    compile_rules(name for file in services for name in map(full_name, file.DESCRIPTOR.services_by_name.values()))


def full_name(service: Any) -> str:
    return str(service.full_name)


def test_a_rule_that_makes_no_sense_stops_the_boot() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="wrong.proto", package="toy.v1", syntax="proto3")
    request = file.message_type.add(name="WrongRequest")
    text = request.field.add(name="text", number=1, type=descriptor_pb2.FieldDescriptorProto.TYPE_STRING)
    # (buf.validate.field).cel = {id: "a", expression: "this.wrong("}
    text.options.MergeFromString(rule(1159, rule(23, rule(1, b"a") + rule(3, b"this.wrong("))))
    service = file.service.add(name="WrongService")
    service.method.add(name="Do", input_type=".toy.v1.WrongRequest", output_type=".toy.v1.WrongRequest")
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    with pytest.raises(protovalidate.CompilationError):
        compile_rules(["toy.v1.WrongService"])


# The order of the steps.


async def seen_reason(served: Served, method: str, request: Any, metadata: Any = ()) -> str:
    seen: Failure = await failure(served.call(method, request, metadata=metadata))
    return seen.reason or seen.code.name


async def test_who_is_unknown_learns_nothing_about_the_rules() -> None:
    async with serving() as served:
        invalid = ToyRequest(text="x" * 17)
        assert await seen_reason(served, "Mine", invalid) == "UNAUTHENTICATED"
        assert await seen_reason(served, "Mine", invalid, bearer("wrong")) == "TOKEN_INVALID"
        assert await seen_reason(served, "Mine", invalid, bearer(TOKEN)) == "INVALID_REQUEST"
        # Permissions may need the database, so that only a good request asks for them.
        assert await seen_reason(served, "Manage", invalid, bearer(TOKEN)) == "INVALID_REQUEST"


# What gRPC itself refuses.


async def test_a_message_beyond_the_limit_is_refused_before_us_TR_02() -> None:
    async with serving() as served:
        fits = ToyRequest(blob=b"x" * (MAX_MESSAGE_BYTES - 4))
        assert len(fits.SerializeToString()) == MAX_MESSAGE_BYTES
        await served.call("Echo", fits)
        seen = await failure(served.call("Echo", ToyRequest(blob=b"x" * (MAX_MESSAGE_BYTES - 3))))
        assert seen.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(served.lines) == 1


async def test_a_message_that_grows_when_unpacked_is_refused_too_TR_02() -> None:
    bomb = ToyRequest(blob=b"x" * 20_000_000).SerializeToString()
    assert len(gzip.compress(bomb)) < MAX_MESSAGE_BYTES
    async with (
        serving(Toy(do=lambda request: ToyReply())) as served,
        grpc.aio.insecure_channel(served.address, compression=grpc.Compression.Gzip) as channel,
    ):
        seen = await failure(served.call("Echo", bomb, channel=channel))
        assert seen.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert served.lines == []


async def test_metadata_beyond_the_limit_is_refused_before_us_TR_02() -> None:
    async with serving() as served:
        await served.call("Echo", metadata=(("x-filler", "x" * 6000),))
        seen = await failure(served.call("Echo", metadata=(("x-filler", "x" * 17_000),)))
        assert seen.code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(served.lines) == 1
