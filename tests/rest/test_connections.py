"""What clients may cost that mean no good: connections, requests at once, and answers that nobody takes (F-15).

Nothing stands behind the container: what gets 503 was passed on.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress

import httpx
import pytest
import pytest_asyncio
from tests.rest.web import nobody_behind

from identity.rest import door as doors
from identity.rest import listener

PATIENCE = 20
NOT_THERE = b"POST /nope HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n1"
"""One byte of three; the answer does not wait for the others."""
LOGIN = b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n"


@pytest_asyncio.fixture
async def door() -> AsyncIterator[httpx.AsyncClient]:
    async with nobody_behind() as client:
        yield client


class Raw:
    """A connection of which every byte is said."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, *parts: bytes) -> bytes:
        """The status line and the body of the answer to these bytes."""
        self.say(*parts)
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), PATIENCE)
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length: "))
        await self._reader.readexactly(int(length.partition(b": ")[2]))
        return head.partition(b"\r\n")[0]

    def say(self, *parts: bytes) -> None:
        self._writer.writelines(parts)

    async def ends(self) -> bool:
        try:
            return await asyncio.wait_for(self._reader.read(), PATIENCE) == b""
        except ConnectionError:
            return True

    async def leave(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


Connect = Callable[[], Awaitable[Raw]]


@pytest_asyncio.fixture
async def connect(door: httpx.AsyncClient) -> AsyncIterator[Connect]:
    """Opens connections, and closes them in the end."""
    async with AsyncExitStack() as stack:

        async def open_one() -> Raw:
            raw = Raw(*await asyncio.open_connection(door.base_url.host, door.base_url.port))
            stack.push_async_callback(raw.leave)
            return raw

        yield open_one


async def test_F_15_who_comes_when_too_much_is_asked_is_told_as_everybody_is(
    door: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "MOST_AT_ONCE", 0)

    refused = await door.get("/v1/setup")

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    assert refused.json()["details"][0]["reason"] == "OVERLOADED"
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert refused.headers["x-request-id"]

    monkeypatch.setattr(doors, "MOST_AT_ONCE", 1)
    assert [(await door.get("/v1/setup")).status_code for _ in range(3)] == [503] * 3


async def test_F_15_the_rest_of_a_body_that_nobody_waits_for_has_to_come(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "REST_WITHIN", 0.3)
    slow = await connect()
    assert (await slow.ask(NOT_THERE)).endswith(b"404 Not Found")
    slow.say(b"2")

    assert await slow.ends()

    whole = await connect()
    await whole.ask(NOT_THERE)
    assert (await whole.ask(b"23", NOT_THERE, b"23")).endswith(b"404 Not Found")


@pytest.mark.parametrize("first", [b"GET /nope HTTP/1.1\r\nhost: x\r\n\r\n", NOT_THERE])
async def test_F_15_a_connection_is_not_kept_by_what_is_no_request(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, first: bytes
) -> None:
    monkeypatch.setattr(listener, "KEPT_ALIVE", 0.3)
    raw = await connect()
    await raw.ask(first)
    raw.say(b"23" if first is NOT_THERE else b"\r\n")

    assert await raw.ends()


async def test_F_15_an_answer_has_to_be_taken(door: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "TAKEN_WITHIN", 0.2)
    loop = asyncio.get_running_loop()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        await loop.sock_connect(deaf, (door.base_url.host, door.base_url.port))
        await loop.sock_sendall(deaf, b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 40)

        with pytest.raises(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                while True:
                    await loop.sock_sendall(deaf, b"\r\n")
                    await asyncio.sleep(0.02)


async def test_F_15_of_too_many_connections_the_one_goes_that_has_been_quiet_for_longest(
    door: httpx.AsyncClient, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "MOST_CONNECTIONS", 3)
    busy = await connect()
    busy.say(LOGIN)
    quiet = await connect()
    await quiet.ask(b"GET /nope HTTP/1.1\r\nhost: x\r\n\r\n")
    other = await connect()
    await other.ask(b"GET /nope HTTP/1.1\r\nhost: x\r\n\r\n")

    assert (await door.get("/v1/setup")).status_code == 503

    assert await quiet.ends()
    assert (await other.ask(b"GET /nope HTTP/1.1\r\nhost: x\r\n\r\n")).endswith(b"404 Not Found")
    assert (await busy.ask(b"{}")).endswith(b"503 Service Unavailable")


async def test_F_15_a_head_that_comes_in_one_piece_is_measured_too(connect: Connect) -> None:
    raw = await connect()

    assert (await raw.ask(b"GET /nope HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 60_000 + b"\r\n\r\n")).endswith(
        b"431 Request Header Fields Too Large"
    )
