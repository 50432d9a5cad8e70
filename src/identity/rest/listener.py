"""The HTTP server: bounds on what a connection may cost before any request is whole, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from identity.rest.app import build_app
from identity.rest.upstream import Upstream, open_upstream
from identity.rest_settings import RestSettings

LARGEST_HEAD = 16 * 1024
HEAD_WITHIN = 10.0
"""Seconds in which the head of a request has to be there, from the first byte of the connection or of the request."""
KEPT_ALIVE = 75
MOST_AT_ONCE = 1000


class CannotListen(OSError):
    """The address cannot be served on; the text says which."""


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with a largest head and a longest time for it: the parser below knows neither (F-15)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        has_begun = self._in_head
        super().data_received(data)
        # After the parser, so that the body that came with the end of a head does not count.
        if has_begun and self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD:
                self._refuse(431, "The head of the request is too large.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        if self._deadline is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._expect_nothing()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "This is not a request of HTTP/1.1.")

    def _refuse(self, status: int, message: str) -> None:
        body = json.dumps({"code": 3, "message": message, "details": []}).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _expect_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_WITHIN, self.transport.abort)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listener:
    """A running container. `address` is where it listens once started."""

    def __init__(self, settings: RestSettings) -> None:
        self._settings = settings
        self._upstream: Upstream | None = None
        self._server: _Server | None = None
        self._running: asyncio.Task[None] | None = None
        self.address = ""

    async def start(self) -> None:
        """Connect and listen. Raises CannotListen, or OSError for certificates that cannot be read."""
        settings = self._settings
        listening = _bind(settings)
        self._upstream = open_upstream(settings)
        # Its own messages would name addresses and paths; ours are in the log of requests.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        config = uvicorn.Config(
            build_app(settings, self._upstream),
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=MOST_AT_ONCE,
            timeout_keep_alive=KEPT_ALIVE,
            timeout_graceful_shutdown=max(1, int(settings.shutdown_seconds)),
            ssl_certfile=settings.rest_certificate,
            ssl_keyfile=settings.rest_key,
        )
        self._server = _Server(config)
        host, port = listening.getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._running = asyncio.create_task(self._server.serve(sockets=[listening]))
        while not self._server.started:
            await asyncio.wait([self._running], timeout=0.01)
            if self._running.done():
                self._running.result()

    async def stop(self) -> None:
        """Accept nothing new, let requests finish, let go of the service (F-18)."""
        if self._server is not None and self._running is not None:
            self._server.should_exit = True
            if self._upstream is not None:
                self._upstream.end_streams()
            await self._running
        if self._upstream is not None:
            await self._upstream.close()


def _bind(settings: RestSettings) -> socket.socket:
    host, port = settings.rest_host, int(settings.rest_address.rpartition(":")[2])
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Where the protocol is named, asyncio switches Nagle's algorithm off. It would hold the body of an answer back
        # until the client has acknowledged the head, which takes 40 ms.
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        raise CannotListen(
            f"IDENTITY_REST_ADDRESS={settings.rest_address} cannot be served on ({error.strerror}): "
            "is another process using it?"
        ) from None
    listening.setblocking(False)
    return listening
