"""The HTTP server: bounds on what a connection may cost before any request is whole, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from identity.rest.app import build_app
from identity.rest.upstream import Upstream, open_upstream
from identity.rest_settings import RestSettings

LARGEST_HEAD = 16 * 1024
HEAD_WITHIN = 10.0
"""Seconds in which the head of a request has to be there, from the start of the connection or of the request."""
REST_WITHIN = 10.0
"""Seconds in which the body has to be there of a request that was answered without it."""
TAKEN_WITHIN = 30.0
"""Seconds in which a client has to take what waits for it: it can be most of 64 KiB, and never much more."""
KEPT_ALIVE = 75
MOST_CONNECTIONS = 1000

_SLICE = 1024


class CannotListen(OSError):
    """The address cannot be served on; the text says which."""


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with a largest head, a longest time for whatever a client owes, and a largest number of clients.

    The server below knows none of them as they are needed here (F-15). A client owes something whenever no request of
    its is in progress: a head, the rest of a body that nobody waits for, or another request before long. While one is,
    the body is waited for by whoever reads it, and the answer has to be taken.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._head_bytes = 0
        self._due: asyncio.TimerHandle | None = None
        self._to_be_taken: asyncio.TimerHandle | None = None
        self.quiet_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait(HEAD_WITHIN)
        if len(self.connections) > MOST_CONNECTIONS:
            _longest_quiet(self.connections).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait(None)
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # In slices, so that a head that comes in one piece is measured like one that comes in many.
        for start in range(0, len(data), _SLICE):
            self._slice_received(data[start : start + _SLICE])
            if self.transport.is_closing():
                return

    def _slice_received(self, data: bytes) -> None:
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
        self._wait(HEAD_WITHIN)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._wait(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self.cycle.response_complete:
            self._wait(KEPT_ALIVE)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._wait(TAKEN_WITHIN)
        elif self.cycle.response_complete and not self._in_head:
            self._wait(REST_WITHIN if self.cycle.more_body else KEPT_ALIVE)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._to_be_taken = self.loop.call_later(TAKEN_WITHIN, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._to_be_taken is not None:
            self._to_be_taken.cancel()
            self._to_be_taken = None

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
        self._wait(TAKEN_WITHIN)

    def _wait(self, seconds: float | None) -> None:
        """For what the client owes, and no longer; None while it owes nothing."""
        if self._due is not None:
            self._due.cancel()
        self._due = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)
        self.quiet_since = None if seconds is None else self.loop.time()


def _longest_quiet(connections: Iterable[Any]) -> BoundedProtocol:
    """The connection that has asked for nothing for longest; the newest has not either."""
    quiet: dict[BoundedProtocol, float] = {
        each: each.quiet_since
        for each in connections
        if each.quiet_since is not None and not each.transport.is_closing()
    }
    return min(quiet, key=quiet.__getitem__)


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
