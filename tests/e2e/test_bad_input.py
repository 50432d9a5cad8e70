"""Bad input, made from the descriptors: every field of every implemented RPC, refused by name and never said back."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from tests.e2e.contract import call, methods, name_of, path_of
from tests.e2e.fields import fields_of, least, make_room
from tests.e2e.least import CHOICES, LEAST, credentials
from tests.running import PASSWORD, Metadata, Refusal, Running, new_email, outcome, refused

from identity_pb.v1 import auth_service_pb2 as auth

CANARY = "canary"
HUGE = CANARY * 10_000
ELSEWHERE = 9999

# A stream gives no unary answer; its cursor has tests of its own.
IMPLEMENTED = [method for method in methods() if not method.server_streaming]
SETUP = next(method for method in IMPLEMENTED if name_of(method) == "AuthService.Setup")
EVERY_RPC = pytest.mark.parametrize("method", IMPLEMENTED, ids=name_of)
# What is refused before any database is asked is refused alike on both.
ONE_ENGINE = pytest.mark.parametrize("fresh_database", ["sqlite"], indirect=True)


async def send(service: Running, method: Any, request: Message | bytes, metadata: Metadata = ()) -> Refusal:
    raw = request if isinstance(request, bytes) else request.SerializeToString()
    return await refused(call(service.channel, path_of(method), raw, metadata))


def assert_bad(refusal: Refusal, *fields: str) -> None:
    """A bad request that names the fields, with nothing of what was sent in it."""
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert {*refusal.fields} == {*fields}
    told = repr(refusal.on_the_wire).lower()
    assert CANARY not in told and "traceback" not in told and "sql" not in told


def test_every_implemented_rpc_is_tried() -> None:
    """An RPC that leaves the list of the unimplemented ones has to come here."""
    assert LEAST.keys() == {name_of(method) for method in methods()}


@ONE_ENGINE
@EVERY_RPC
async def test_PW_02_TR_02_every_text_has_an_end(service: Running, method: Any) -> None:
    """However generous a field is, sixty thousand characters are too many."""
    metadata = await credentials(service, method)
    for path in fields_of(method.input_type, FieldDescriptor.TYPE_STRING):
        request = least(method)
        make_room(method, request, path)
        path.set(request, HUGE)
        assert_bad(await send(service, method, request, metadata), str(path))


@EVERY_RPC
async def test_M16_no_text_has_a_nul(service: Running, method: Any) -> None:
    """PostgreSQL cannot keep one, so nobody may send one, on either engine."""
    metadata = await credentials(service, method)
    for path in fields_of(method.input_type, FieldDescriptor.TYPE_STRING):
        request = least(method)
        make_room(method, request, path)
        path.set(request, f"{CANARY}\0")
        assert_bad(await send(service, method, request, metadata), str(path))


@ONE_ENGINE
@EVERY_RPC
async def test_AZ_03_unknown_words_of_an_enumeration_are_refused(service: Running, method: Any) -> None:
    """A number that the contract does not name is no value."""
    metadata = await credentials(service, method)
    for path in fields_of(method.input_type, FieldDescriptor.TYPE_ENUM):
        request = least(method)
        path.set(request, ELSEWHERE)
        assert_bad(await send(service, method, request, metadata), str(path))


@ONE_ENGINE
@EVERY_RPC
async def test_what_is_required_is_required(service: Running, method: Any) -> None:
    """Without one of the fields that it needs, a request is refused with that field's name."""
    metadata = await credentials(service, method)
    for field, _ in LEAST[name_of(method)].ListFields():
        request = least(method)
        request.ClearField(field.name)
        named = CHOICES.get((name_of(method), field.name), field.name)
        assert_bad(await send(service, method, request, metadata), named)


@EVERY_RPC
async def test_M2_a_field_of_another_type_is_not_there(service: Running, method: Any) -> None:
    """A number where a text belongs is as good as nothing: missing where it is required, else passed over."""
    required = {field.name for field, _ in LEAST[name_of(method)].ListFields()}
    for field in method.input_type.fields:
        request = least(method)
        request.ClearField(field.name)
        raw = request.SerializeToString() + tag(field.number, 5) + b"\xff" * 4
        answer = await outcome(call(service.channel, path_of(method), raw, await credentials(service, method)))
        if field.name in required:
            assert isinstance(answer, Refusal) and answer.reason == "INVALID_REQUEST", field.name
        elif isinstance(answer, Refusal):
            assert answer.code not in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL), field.name


@ONE_ENGINE
@EVERY_RPC
async def test_M2_what_cannot_be_read_is_a_bad_request(service: Running, method: Any) -> None:
    """Bytes that are no message, and texts that are no UTF-8, are refused without a word about why."""
    metadata = await credentials(service, method)
    for path in fields_of(method.input_type, FieldDescriptor.TYPE_STRING):
        request = least(method)
        make_room(method, request, path)
        path.set(request, f"{CANARY}!!")
        raw = request.SerializeToString().replace(b"canary!!", b"canary\xff\xfe")
        assert_bad(await send(service, method, raw, metadata))
    for raw in (b"\xff", b"\x0a\xff", b"\x0a\x05ab", b"\x07", b"\x0a\xff\xff\xff\xff\x0f"):
        assert_bad(await send(service, method, raw, metadata))


@ONE_ENGINE
async def test_TR_02_a_message_has_an_end(service: Running) -> None:
    """More than 64 KiB are refused before they are read, and before anybody asks who sends them, by every RPC."""
    big = tag(ELSEWHERE, 2) + b"\x80\x80\x04" + b"x" * 65_536
    refusals = await asyncio.gather(*(send(service, method, big) for method in IMPLEMENTED))
    codes = dict(zip(map(name_of, IMPLEMENTED), (refusal.code for refusal in refusals), strict=True))
    assert codes == dict.fromkeys(codes, grpc.StatusCode.RESOURCE_EXHAUSTED)


@ONE_ENGINE
async def test_N_51_nesting_has_an_end(service: Running) -> None:
    """A structure more than a hundred messages deep is refused, not followed."""
    deep = b""
    for _ in range(120):
        deep = delimited(6, delimited(1, deep))
    request = least(SETUP).SerializeToString() + delimited(11, delimited(1, delimited(1, b"a") + delimited(2, deep)))
    assert_bad(await send(service, SETUP, request))


async def test_AZ_03_fields_nobody_knows_change_nothing(service: Running) -> None:
    """What the contract does not name, such as an id or a verified address, is passed over."""
    email = new_email()
    request = auth.RegisterRequest(email=email, password=PASSWORD).SerializeToString()
    await call(service.channel, "/identity.v1.AuthService/Register", request + tag(11_000, 0) + b"\x01")
    account = service.account(email)
    assert (account.role, account.email_verified_at) == ("user", None)


def delimited(number: int, content: bytes) -> bytes:
    return tag(number, 2) + varint(len(content)) + content


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
