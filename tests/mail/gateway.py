"""A real HTTP server that takes short messages, and answers as a test tells it to."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_PATIENCE = 20


@dataclass(frozen=True)
class Posted:
    """One request, read whole."""

    method: str
    target: str
    headers: dict[str, str]
    message: dict[str, str]


class Gateway:
    """What arrived, and how to answer: with a status and headers, or by a function that does anything else."""

    def __init__(self, certificate: ssl.SSLContext | None = None) -> None:
        self.taken: list[Posted] = []
        self.status = 202
        self.headers: dict[str, str] = {}
        self.misbehave: Callable[[Gateway, BaseHTTPRequestHandler], None] | None = None
        self.certificate = certificate
        self.port = 0
        self.released = threading.Event()
        self.arrived = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://s3cret@127.0.0.1:{self.port}/sms?from=Acme"

    def of(self, number: str) -> list[dict[str, str]]:
        """The messages to a number, oldest first."""
        return [posted.message for posted in list(self.taken) if posted.message["to"] == number]

    async def wait(self, number: str, count: int = 1) -> dict[str, str]:
        """The newest message to a number, once `count` have arrived."""

        def wait() -> None:
            with self.arrived:
                self.arrived.wait_for(lambda: len(self.of(number)) >= count, _PATIENCE)

        await asyncio.to_thread(wait)
        assert len(self.of(number)) >= count, f"{len(self.of(number))} of {count} messages arrived"
        return self.of(number)[-1]

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        posted = Posted(handler.command, handler.path, dict(handler.headers), json.loads(body))
        with self.arrived:
            self.taken.append(posted)
            self.arrived.notify_all()
        if self.misbehave is not None:
            self.misbehave(self, handler)
            return
        handler.send_response(self.status)
        for name, value in {"Content-Length": "0", **self.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()


def hangs_up(gateway: Gateway, handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def says_nothing(gateway: Gateway, handler: BaseHTTPRequestHandler) -> None:
    gateway.released.wait(_PATIENCE)


def trickles(gateway: Gateway, handler: BaseHTTPRequestHandler) -> None:
    """A status that never ends, a byte at a time."""
    _trickle(gateway, handler, b"HTTP/1.1 0")


def trickles_on(gateway: Gateway, handler: BaseHTTPRequestHandler) -> None:
    """A good status, and headers that never end."""
    _trickle(gateway, handler, b"HTTP/1.1 200 OK\r\nX-Slow: ")


def _trickle(gateway: Gateway, handler: BaseHTTPRequestHandler, begin: bytes) -> None:
    handler.wfile.write(begin)
    while not gateway.released.wait(0.02):
        handler.wfile.write(b"0")


def talks_nonsense(gateway: Gateway, handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"220 smtp.example ESMTP\r\n")
    handler.close_connection = True


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


@contextmanager
def running_gateway(gateway: Gateway) -> Iterator[Gateway]:
    """Runs the gateway on a free port of the loopback interface, in threads of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            gateway.take(self)

        def log_message(self, *arguments: object) -> None:
            """Nothing is logged."""

    server = _Server(("127.0.0.1", 0), Handler)
    if gateway.certificate is not None:
        server.socket = gateway.certificate.wrap_socket(server.socket, server_side=True)
    gateway.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        gateway.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
