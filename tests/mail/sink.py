"""A real SMTP server that behaves as a test tells it to."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Mode(Enum):
    ACCEPT = auto()
    BUSY = auto()
    REFUSE_MESSAGE = auto()
    TARPIT = auto()
    CLOSE_AFTER_DATA = auto()
    CLOSE_AT_RECIPIENT = auto()


class Sink:
    """What arrived, and how to answer. `recipients` gives one address an answer of its own.

    `taken` holds every message whose DATA was read whole, also when its 250 was never sent.
    """

    def __init__(self) -> None:
        self.mode = Mode.ACCEPT
        self.recipients: dict[str, str] = {}
        self.taken: list[Envelope] = []
        self.connections = 0
        self.logins: list[str] = []
        self.port = 0
        self.starttls: ssl.SSLContext | None = None
        self.implicit_tls: ssl.SSLContext | None = None
        self.wants_login = False
        self.utf8 = True
        self.encrypted: list[bool] = []
        self.loop: asyncio.AbstractEventLoop | None = None
        self._open: list[SMTP] = []
        self._released = asyncio.Event()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    # aiosmtpd calls these.

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.mode is Mode.CLOSE_AT_RECIPIENT:
            self._hang_up(server)
        answer = self.recipients.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        match self.mode:
            case Mode.BUSY:
                return "451 Come back later"
            case Mode.REFUSE_MESSAGE:
                return "554 Not this one"
            case Mode.TARPIT:
                await self._released.wait()
                return "451 Asleep"
        self.taken.append(envelope)
        self.encrypted.append(session.ssl is not None)
        if self.mode is Mode.CLOSE_AFTER_DATA:
            self._hang_up(server)
        return "250 OK"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, how: str, data: object) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(f"{data.login.decode()}:{data.password.decode()}")
        return AuthResult(success=data.password == b"right p@ss", handled=False)

    def protocol(self) -> SMTP:
        self.connections += 1
        server = SMTP(
            self,
            hostname="sink",
            enable_SMTPUTF8=self.utf8,
            tls_context=self.starttls,
            authenticator=self.authenticate,
            auth_required=self.wants_login,
            auth_require_tls=False,
        )
        self._open.append(server)
        return server

    def hang_up_all(self) -> None:
        """Break every connection, and wait until that is done."""
        assert self.loop is not None
        _in_loop(self.loop, self._hang_up_open)

    def release(self) -> None:
        self._released.set()

    def _hang_up_open(self) -> None:
        for server in self._open:
            self._hang_up(server)

    def _hang_up(self, server: SMTP) -> None:
        assert isinstance(server.transport, asyncio.Transport)
        server.transport.abort()


@contextmanager
def running(sink: Sink) -> Iterator[Sink]:
    """Runs the sink on a free port of the loopback interface, in a thread of its own."""
    loop = sink.loop = asyncio.new_event_loop()

    async def listen() -> asyncio.Server:
        return await loop.create_server(sink.protocol, "127.0.0.1", 0, ssl=sink.implicit_tls)

    server = loop.run_until_complete(listen())
    sink.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        _in_loop(loop, sink.release)
        _in_loop(loop, server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def closed_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _in_loop(loop: asyncio.AbstractEventLoop, action: Callable[[], object]) -> None:
    done = threading.Event()

    def run() -> None:
        action()
        done.set()

    loop.call_soon_threadsafe(run)
    done.wait(5)
