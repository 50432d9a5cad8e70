"""What no HTTP library would send: broken heads, endless heads, slow clients, and a service that is away (F-15)."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from tests.conftest import Launch
from tests.rest.web import Web, browsing

from identity.rest import exchange, listener

GOOD = b"GET /v1/setup HTTP/1.1\r\nhost: x\r\n"


async def said(web: Web, *parts: bytes, patience: float = 20) -> bytes:
    """Everything that a raw connection is told after these parts, until it is closed."""
    host, port = str(web.client.base_url.host), web.client.base_url.port
    reader, writer = await asyncio.open_connection(host, port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), patience)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200,  # a TLS hello
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /v1/setup HTTP/9.9\r\nhost: x\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"BREW /v1/setup HTTP/1.1\r\nhost: x\r\n\r\n",
        GOOD + b"content-length: -1\r\n\r\n",
        GOOD + b"content-length: 1\r\ncontent-length: 2\r\n\r\n",
        GOOD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        GOOD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        GOOD + b"bad header: x\r\n\r\n",
        GOOD + b"x-nul: \0\r\n\r\n",
    ],
    ids=range(13),
)
async def test_F_15_a_broken_head_is_refused_and_nobody_else_notices(web: Web, head: bytes) -> None:
    answer = await said(web, head)

    assert not answer.startswith((b"HTTP/1.1 2", b"HTTP/1.1 5"))
    assert await web.call("GET", "/v1/setup")


async def test_F_15_a_head_without_end_is_refused(web: Web) -> None:
    """Who goes on sending finds the connection gone before the answer can be read."""
    many = await said(web, GOOD, *(b"x-a: " + b"a" * 1000 + b"\r\n" for _ in range(20)))
    long = await said(web, GOOD, b"x-a: ", *(b"a" * 4000 for _ in range(300)))

    assert many == b"" or many.startswith(b"HTTP/1.1 431")
    assert long == b"" or long.startswith(b"HTTP/1.1 431")


async def test_F_15_slow_clients_are_left(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HEAD_WITHIN", 0.2)
    monkeypatch.setattr(exchange, "BODY_WITHIN", 0.2)

    silent = await said(web)
    half = await said(web, GOOD)
    body = await said(
        web, b"POST /v1/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"
    )

    assert (silent, half) == (b"", b"")
    assert body.startswith(b"HTTP/1.1 408")


async def test_AV_02_a_service_that_is_away_is_503_and_comes_back(launch: Launch) -> None:
    """The container alone: nothing behind it answers, then something does."""
    service = await launch(rest_address="127.0.0.1:0")
    settings = service.service.settings
    alone = listener.Listener(settings.model_copy(update={"upstream": "127.0.0.1:1", "rest_address": "127.0.0.1:0"}))
    await alone.start()
    try:
        async with httpx.AsyncClient(base_url=f"http://{alone.address}", trust_env=False) as client:
            answer = await client.post("/v1/login", json={"identifier": "a@example.org", "password": "x"})
            health = await client.get("/healthz")
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, 14, "1")
        assert "127.0.0.1" not in answer.text
        assert health.status_code == 503
    finally:
        await alone.stop()
    async with browsing(service) as web:
        assert (await web.client.get("/healthz")).status_code == 200


async def test_N_31_only_listed_origins_may_read(launch: Launch) -> None:
    service = await launch(rest_address="127.0.0.1:0", cors_origins="https://app.example.org")
    asking = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    async with browsing(service) as web:
        known = await web.client.options("/v1/login", headers={"origin": "https://app.example.org", **asking})
        stranger = await web.client.options("/v1/login", headers={"origin": "https://evil.example.org", **asking})
        plain = await web.client.get("/v1/setup", headers={"origin": "https://evil.example.org"})

    assert known.headers["access-control-allow-origin"] == "https://app.example.org"
    assert known.headers["access-control-allow-methods"] == "POST"
    assert "access-control-allow-origin" not in stranger.headers
    assert "access-control-allow-origin" not in plain.headers
