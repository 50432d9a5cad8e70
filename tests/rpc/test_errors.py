"""The error table, whole and over the wire (habit 4, TR-05, AV-02)."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from tests.rpc.toy import ToyReply, bearer, failure, serving

import identity.domain
from identity.domain.errors import (
    DomainError,
    NotFound,
    Overloaded,
    PasswordTooShort,
    RateLimited,
    ServiceUnavailable,
)
from identity.rpc.errors import CODES, FieldViolation, InternalError, InvalidFields, to_answer, to_status
from identity_pb.v1.error_reason_pb2 import ErrorReason

CONTRACT = Path(__file__).parents[2] / "protos/identity/v1/error_reason.proto"
PREFIX = "ERROR_REASON_"


def all_errors(base: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    for module in pkgutil.walk_packages(identity.domain.__path__, "identity.domain."):
        importlib.import_module(module.name)
    for error in base.__subclasses__():
        if error.__module__.startswith("identity."):
            yield error
            yield from all_errors(error)


def make(error: type[DomainError]) -> DomainError:
    if error is InternalError:
        return InternalError("0123")
    if error is InvalidFields:
        return InvalidFields([FieldViolation("text", "is wrong", "WRONG")])
    return error()


ERRORS = sorted(set(all_errors()), key=lambda error: error.__name__)


def test_every_error_of_the_domain_has_a_code() -> None:
    assert [error.__name__ for error in ERRORS if error.reason not in CODES] == []


def test_the_table_has_the_reasons_of_the_contract_and_no_others() -> None:
    reasons = {name.removeprefix(PREFIX) for name in ErrorReason.keys()} - {"UNSPECIFIED"}  # noqa: SIM118
    assert reasons == set(CODES)


def test_the_table_has_the_codes_that_the_contract_promises() -> None:
    promised = re.findall(r"// ERROR_REASON_([A-Z_]+):.*?gRPC code: ([A-Z_]+)\.", CONTRACT.read_text(), re.DOTALL)
    assert dict(promised) == {reason: code.name for reason, code in CODES.items()}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
async def test_an_error_reaches_the_client_with_its_reason(error: type[DomainError]) -> None:
    raised = make(error)

    def fail(_: object) -> Any:
        raise raised

    async with serving() as served:
        served.toy.do = fail
        seen = await failure(served.call("Echo"))
        assert (CODES[error.reason], error.reason, raised.message) == (seen.code, seen.reason, seen.message)
        assert (seen.code.name, seen.reason) == (served.lines[-1].code, served.lines[-1].reason)


def test_field_and_metadata_are_told() -> None:
    status = to_status(PasswordTooShort(field="password", min_length="15"))
    seen = {detail.type_url.rpartition(".")[2]: detail.value for detail in status.details}
    assert {"ErrorInfo", "BadRequest"} == set(seen)
    assert b"min_length" in seen["ErrorInfo"]
    assert b"password" in seen["BadRequest"]


@pytest.mark.parametrize(
    ("seconds", "header", "told"),
    [(0.0, "1", 0.0), (0.2, "1", 0.2), (1.0, "1", 1.0), (1.0001, "2", 1.001), (59.5, "60", 59.5), (-3.0, "1", 0.0)],
)
async def test_the_time_to_wait_is_told_twice_and_never_too_early(seconds: float, header: str, told: float) -> None:
    async with serving() as served:

        def fail(_: object) -> Any:
            raise RateLimited(retry_after=seconds)

        served.toy.do = fail
        seen = await failure(served.call("Echo"))
        assert (header, told) == (seen.trailing["retry-after"], seen.retry_seconds)


@pytest.mark.parametrize("error", [Overloaded(), ServiceUnavailable()], ids=lambda error: error.reason)
def test_nothing_is_told_about_waiting_when_nothing_is_known(error: DomainError) -> None:
    assert [key for key, _ in to_answer(error).trailing_metadata] == ["grpc-status-details-bin"]


async def test_two_errors_of_one_class_are_the_same_bytes_LG_01() -> None:
    async with serving() as served:
        first, second = [await failure(served.call("Mine", metadata=bearer(token))) for token in ("a", "b")]
        assert first.trailing["grpc-status-details-bin"] == second.trailing["grpc-status-details-bin"]
        assert first.message == second.message


# What nobody foresaw.


class SecretError(Exception):
    pass


@pytest.mark.parametrize("method", ["Echo", "Run", "Hash", "Watch"])
@pytest.mark.parametrize(
    "error",
    [
        SecretError("canary"),
        StopIteration("canary"),
        StopAsyncIteration("canary"),
        GeneratorExit("canary"),
        SystemExit("canary"),
        KeyboardInterrupt("canary"),
        asyncio.CancelledError("canary"),
        grpc.RpcError("canary"),
        UnicodeDecodeError("utf-8", b"canary", 0, 1, "canary"),
        ExceptionGroup("canary", [SecretError("canary")]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_unknown_error_is_INTERNAL_and_nothing_else_TR_05(error: BaseException, method: str) -> None:
    def fail(_: object) -> Any:
        raise error

    async with serving() as served:
        served.toy.do = fail
        call = served.stream(metadata=bearer("good")).read() if method == "Watch" else served.call(method)
        seen = await failure(call)
        assert seen.code == grpc.StatusCode.INTERNAL
        assert {"ref"} == set(seen.metadata)
        assert f"internal error; ref={seen.metadata['ref']}" == seen.message
        assert "canary" not in repr(seen)
        served.toy.do = lambda request: ToyReply(text="alive")
        assert (await served.call("Echo")).text == "alive"


@pytest.mark.parametrize("reply", [None, "text"], ids=["nothing", "a string"])
@pytest.mark.parametrize("method", ["Echo", "Run", "Watch"])
async def test_a_reply_that_is_none_is_INTERNAL_TR_05(method: str, reply: Any) -> None:
    async with serving() as served:
        served.toy.do = lambda request: reply
        call = served.stream(metadata=bearer("good")).read() if method == "Watch" else served.call(method)
        seen = await failure(call)
        assert (seen.code, seen.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")


@pytest.mark.parametrize("metadata", [{"count": 3}, {"text": "\ud800"}, {"nothing": None}], ids=repr)
async def test_an_error_that_cannot_be_told_is_INTERNAL_TR_05(metadata: Any) -> None:
    def fail(_: object) -> Any:
        raise NotFound(**metadata)

    async with serving() as served:
        served.toy.do = fail
        seen = await failure(served.call("Echo"))
        assert (seen.code, seen.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")


async def test_a_log_that_cannot_be_written_breaks_no_call_TR_05() -> None:
    def full(*_: object) -> None:
        raise OSError("canary: no space left on device")

    def fail(_: object) -> Any:
        raise SecretError("canary")

    async with serving(log=full, observe=full) as served:
        await served.call("Echo")
        await served.stream(metadata=bearer("good")).read()
        assert (await failure(served.call("Mine"))).reason == "UNAUTHENTICATED"
        before = structlog.get_config()
        structlog.configure(processors=[full])  # type: ignore[list-item]
        try:
            served.toy.do = fail
            assert (await failure(served.call("Echo"))).reason == "INTERNAL"
        finally:
            structlog.configure(**before)


async def test_a_reason_that_the_contract_does_not_know_is_INTERNAL() -> None:
    class Surprise(DomainError):
        reason = "SURPRISE"
        message = "nobody agreed on this"

    def fail(_: object) -> Any:
        raise Surprise()

    async with serving() as served:
        served.toy.do = fail
        seen = await failure(served.call("Echo"))
        assert (seen.code, seen.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
        assert "nobody" not in repr(seen)
