"""A TCP relay in front of a server that can swallow, cut, refuse, and lose answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from socket import AF_INET, AF_UNIX, SHUT_RDWR, create_server, socket
from urllib.parse import urlsplit


class Relay:
    """Listens on a free port of the loopback interface while it is used as a context."""

    def __init__(self, server: Path | str) -> None:
        """In front of a Unix socket, or of a `HOST:PORT`."""
        self._server = server
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._sockets: list[socket] = []
        self._threads: list[threading.Thread] = []
        self._listen(0)
        self.port = int(self._listener.getsockname()[1])
        self._muted: set[socket] = set()
        # Bytes of a client whose answer is lost, and with it the connection.
        self.mute_after: bytes | None = None

    def __enter__(self) -> Relay:
        self._start(self._accept, self._listener)
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        for thread in self._threads:
            thread.join()
        for side in self._sockets:
            side.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, url: str) -> str:
        """The URL of a database of the server, through this relay."""
        parts = urlsplit(url)
        return f"postgresql://{parts.username}@{self.address}{parts.path}?sslmode=disable"

    def swallow(self) -> None:
        """Deliver nothing any more, in neither direction; connections stay open and new ones are accepted."""
        self._flowing.clear()

    def deliver(self) -> None:
        """Deliver again, also what was held back."""
        self._flowing.set()

    def mute(self) -> None:
        """Lose every answer on the connections there are; they stay open, and what clients say arrives."""
        with self._lock:
            self._muted = set(self._sockets)

    def refuse(self) -> None:
        """Cut what is connected and refuse what comes."""
        with suppress(OSError):
            self._listener.shutdown(SHUT_RDWR)
        self._listener.close()
        self._flowing.set()
        self.cut()

    def accept(self) -> None:
        """Take connections again, at the same address."""
        self._listen(self.port)
        self._start(self._accept, self._listener)

    def cut(self) -> None:
        """Break every connection."""
        with self._lock:
            for side in self._sockets:
                _cut(side)

    def _listen(self, port: int) -> None:
        self._listener = create_server(("127.0.0.1", port))

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket(AF_UNIX if isinstance(self._server, Path) else AF_INET)
                with self._lock:
                    self._sockets += [client, server]
                self._start(self._relay, client, server)

    def _relay(self, client: socket, server: socket) -> None:
        self._flowing.wait()
        muted = threading.Event()
        with suppress(OSError):
            server.connect(self._server_address)
            self._start(self._backward, client, server, muted)
            while data := client.recv(65536):
                self._flowing.wait()
                if self.mute_after is not None and self.mute_after in data:
                    muted.set()
                server.sendall(data)
        _cut(server)
        _cut(client)

    @property
    def _server_address(self) -> str | tuple[str, int]:
        if isinstance(self._server, Path):
            return str(self._server)
        host, _, port = self._server.rpartition(":")
        return host, int(port)

    def _backward(self, client: socket, server: socket, muted: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                self._flowing.wait()
                if muted.is_set():
                    break
                if server in self._muted:
                    continue
                client.sendall(data)
        _cut(client)
        _cut(server)


def _cut(side: socket) -> None:
    with suppress(OSError):
        side.shutdown(SHUT_RDWR)
