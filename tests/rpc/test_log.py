"""The log tells what happened and never with what (LO-01), one object per line whatever comes (LO-02)."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from tests.rpc.http2 import Http2
from tests.rpc.toy import KEY, SERVICE, TOKEN, Toy, ToyReply, ToyRequest, bearer, failure, serving, until

from identity.domain.errors import ServiceUnavailable
from identity.rpc import log
from identity.rpc.source import SourceReader

CANARY = "canary"
HOSTILE = 'a\r\n{"event": "forged"}\x1b[31m\u2028\x85"\\\0'


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level, hook = root.handlers[:], root.level, threading.excepthook
    yield
    root.handlers[:], threading.excepthook = handlers, hook
    root.setLevel(level)
    structlog.configure(**before)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def objects(stream: io.StringIO) -> list[dict[str, Any]]:
    text = stream.getvalue()
    assert text.isascii()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


# The line of a call.


async def test_a_call_is_one_line(stream: io.StringIO) -> None:
    async with serving(log=log.configure(stream=stream), sources=SourceReader(["127.0.0.0/8"])) as served:
        metadata = (*bearer(TOKEN), ("x-request-id", "one"), ("x-client-ip", "2001:db8::1"))
        await served.call("Mine", metadata=metadata)
        await failure(served.call("Mine"))
    first, second = (line for line in objects(stream) if line["event"] == "call")  # others may be at work beside it
    assert 0 < first.pop("duration_ms") < 20_000
    assert len(first.pop("timestamp")) == len("2026-03-01T00:00:00.000Z")
    assert first == {
        "event": "call",
        "level": "info",
        "method": f"/{SERVICE}/Mine",
        "code": "OK",
        "request_id": "one",
        "source": "2001:db8::/64",
        "account": "00000000-0000-0000-0000-000000000001",
    }
    assert (second["code"], second["reason"], second["level"]) == ("UNAUTHENTICATED", "UNAUTHENTICATED", "info")
    assert not {"source", "account"} & set(second)


@pytest.mark.parametrize("values", [("", None, None), ("OTP_INVALID", "203.0.113.7", "0-1")])
def test_the_cheap_line_says_what_structlog_says(stream: io.StringIO, values: Any) -> None:
    cheap = log.configure(stream=stream)
    reason, network, account = values
    for write in (cheap, log.log_call):
        write("/a/B", "OK", reason, 0.0125, "one", network, account)
    first, second = objects(stream)
    del first["timestamp"], second["timestamp"]
    assert first == second


@pytest.mark.parametrize(
    ("least", "seen"),
    [
        ("debug", ["OK", "UNAUTHENTICATED", "UNAVAILABLE", "INTERNAL"]),
        ("info", ["OK", "UNAUTHENTICATED", "UNAVAILABLE", "INTERNAL"]),
        ("warning", ["UNAVAILABLE", "INTERNAL"]),
        ("error", ["INTERNAL"]),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_our_faults_are_louder_than_the_clients(
    stream: io.StringIO, least: str, seen: list[str], as_json: bool
) -> None:
    write = log.configure(level=least, json=as_json, stream=stream)
    for code in ("OK", "UNAUTHENTICATED", "UNAVAILABLE", "INTERNAL"):
        write("/a/B", code, "", 0.001, "one", None, None)
    lines = stream.getvalue().splitlines()
    assert len(lines) == len(seen)
    assert all(code in line for code, line in zip(seen, lines, strict=True))


# Nothing of the call itself.


class CanaryError(Exception):
    pass


def explode(request: Any) -> Any:
    secret = CANARY  # also a local variable: some formatters print those
    try:
        raise ValueError(f"{secret} in a cause")
    except ValueError as error:
        raise CanaryError(f"INSERT … VALUES ('{secret}')") from error


@pytest.mark.parametrize("as_json", [True, False])
async def test_no_secret_is_logged_or_told_LO_01(stream: io.StringIO, as_json: bool, capfd: Any) -> None:
    write = log.configure(level="debug", json=as_json, stream=stream)
    request = ToyRequest(text=CANARY, tags=[CANARY[:4]], blob=CANARY.encode())
    metadata = (
        *bearer(CANARY),
        ("cookie", CANARY),
        ("x-client-ip", CANARY),
        ("x-client-user-agent", CANARY),
        ("x-request-id", f"{CANARY} {CANARY}"),
        ("canary", CANARY),
        ("canary-bin", CANARY.encode()),
    )
    told = []
    async with serving(log=write) as served:
        for toy in (Toy().do, explode):
            served.toy.do = toy
            for method in ("Echo", "Run", "Hash", "Mine", "Serve", "Prove", "Ask", "Unmade"):
                for sent in (request, CANARY.encode(), ToyRequest(text=CANARY * 4), ToyRequest(text=f"{CANARY}\0")):
                    call = served.call(method, sent, metadata=metadata)
                    if await call.code() != 0:
                        told.append((await call.details(), await call.trailing_metadata()))
        await failure(served.stream(request, metadata=bearer(TOKEN)).read())
        async with Http2.to(served.address) as connection:
            headers = [("authorization", f"Bearer {CANARY}é"), ("x-request-id", f"{CANARY}\x1b"), ("x-bin", "%canary")]
            connection.call(f"/{SERVICE}/Mine", request, headers)
            await connection.end_of(1)
    assert "INTERNAL" in stream.getvalue()
    assert CANARY not in stream.getvalue()
    assert CANARY not in repr(told)
    assert CANARY not in "".join(capfd.readouterr())


async def test_an_unknown_error_is_told_by_its_class_and_its_way(stream: io.StringIO) -> None:
    async with serving(Toy(do=explode), log=log.configure(stream=stream)) as served:
        seen = await failure(served.call("Echo", metadata=(("x-request-id", "one"),)))
    told, call = objects(stream)
    assert (told["event"], told["level"], told["method"]) == ("call failed", "error", f"/{SERVICE}/Echo")
    assert (told["ref"], told["request_id"]) == (seen.metadata["ref"], "one")
    assert [link["type"] for link in told["raised"]] == ["CanaryError", "ValueError"]
    assert told["raised"][0]["frames"][-1].endswith(" explode")
    assert "test_log:" in told["raised"][0]["frames"][-1]
    assert "/" not in repr(told["raised"])
    assert (call["code"], call["level"]) == ("INTERNAL", "error")


async def test_an_error_after_the_client_left_is_told_too(stream: io.StringIO) -> None:
    entered, gate = asyncio.Event(), asyncio.Event()

    async def run(_: object) -> Any:
        entered.set()
        await gate.wait()
        raise CanaryError(CANARY)

    async with serving(Toy(run=run), log=log.configure(stream=stream)) as served:
        call = served.call("Run")
        await entered.wait()
        call.cancel()
        await until(lambda: "CANCELLED" in stream.getvalue())
        gate.set()
        await served.pipeline.close()
    assert {"call failed"} == {told["event"] for told in objects(stream) if "raised" in told}
    assert CANARY not in stream.getvalue()


async def test_an_expected_error_after_the_client_left_is_not_told(stream: io.StringIO) -> None:
    gate = asyncio.Event()

    async def run(_: object) -> Any:
        await gate.wait()
        raise ServiceUnavailable()

    async with serving(Toy(run=run), deadline=0.05, log=log.configure(stream=stream)) as served:
        await failure(served.call("Run"))
        gate.set()
        await served.pipeline.close()
    assert [told["code"] for told in objects(stream)] == ["DEADLINE_EXCEEDED"]


async def test_health_checks_are_not_told(stream: io.StringIO) -> None:
    async with serving(log=log.configure(level="debug", stream=stream)) as served:
        await failure(served.call("/grpc.health.v1.Health/Check"))
    assert stream.getvalue() == ""


# Lines of others during a call, and of libraries.


@pytest.mark.parametrize("method", ["Echo", "Run", "Hash"])
async def test_what_a_method_logs_has_the_id_of_its_call(stream: io.StringIO, method: str) -> None:
    def do(_: object) -> Any:
        structlog.get_logger().info("done something")
        return ToyReply()

    async with serving(Toy(do=do), log=log.configure(stream=stream)) as served:
        await served.call(method, metadata=(("x-request-id", "one"),))
    assert [line["request_id"] for line in objects(stream)] == ["one", "one"]


def test_an_exception_in_any_log_line_is_told_without_its_text(stream: io.StringIO) -> None:
    log.configure(stream=stream)
    logger = structlog.get_logger()
    try:
        explode(None)
    except CanaryError as error:
        logger.exception("failed")
        logger.error("failed", exc_info=error)
        logging.getLogger("library").exception("failed")
    assert CANARY not in stream.getvalue()
    assert {line["raised"][0]["type"] for line in objects(stream)} == {"CanaryError"}


def test_libraries_tell_templates_and_no_arguments(stream: io.StringIO) -> None:
    """gRPC logs header values that are not UTF-8, asyncio the text of errors that nobody awaited."""
    log.configure(stream=stream)
    library = logging.getLogger("library")
    library.warning("Invalid encoding on %s", CANARY)
    library.error("Task exception was never retrieved\nfuture: <Task exception=%s>" % CANARY)  # noqa: UP031
    library.critical(ValueError(CANARY))
    library.log(35, "between")
    library.info("not told")
    assert [(line["event"], line["level"], line["logger"]) for line in objects(stream)] == [
        ("Invalid encoding on %s", "warning", "library"),
        ("Task exception was never retrieved", "error", "library"),
        ("ValueError", "error", "library"),
        ("between", "warning", "library"),
    ]
    assert CANARY not in stream.getvalue()


def test_a_thread_that_dies_is_told_without_a_word_of_its_text(stream: io.StringIO) -> None:
    log.configure(stream=stream)
    thread = threading.Thread(target=explode, args=(None,))
    thread.start()
    thread.join()
    assert objects(stream)[0]["raised"][0]["type"] == "CanaryError"
    assert CANARY not in stream.getvalue()


# One line, whatever comes.


def test_hostile_text_is_one_object_on_one_line_LO_02(stream: io.StringIO) -> None:
    write = log.configure(stream=stream)
    structlog.get_logger().warning(HOSTILE, **{HOSTILE: HOSTILE})
    logging.getLogger(HOSTILE).warning(HOSTILE)
    write(HOSTILE, "OK", "", 0.0, HOSTILE, HOSTILE, HOSTILE)
    assert len(objects(stream)) == 3
    assert "forged" not in {line["event"] for line in objects(stream)}


def test_hostile_text_is_one_line_for_people_too_LO_02(stream: io.StringIO) -> None:
    write = log.configure(json=False, stream=stream)
    structlog.get_logger().warning(HOSTILE, text=HOSTILE, more=[HOSTILE])
    logging.getLogger("library").warning(HOSTILE)
    write("/a/B", "OK", "", 0.0, HOSTILE, HOSTILE, HOSTILE)
    text = stream.getvalue()
    assert len(text.splitlines()) == text.count("\n") == 3
    assert all(character.isprintable() for character in text.replace("\n", ""))


def test_people_see_where_an_error_went_through(stream: io.StringIO) -> None:
    log.configure(json=False, stream=stream)
    try:
        explode(None)
    except CanaryError:
        structlog.get_logger().exception("failed")
    text = stream.getvalue()
    assert "CanaryError\n    " in text
    assert " explode" in text
    assert CANARY not in text


def test_the_service_keys_name_is_not_an_account() -> None:
    assert KEY not in repr(log.describe(ValueError(KEY)))
