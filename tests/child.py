"""A service in a process of its own, for tests that kill it.

A child answers commands over a pipe: it moves its clock, and it stops dead where a test wants to kill it, after
the k-th statement that its writers run from then on (P-17).
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import uvloop
from tests.forks import FORKS
from tests.running import SECRET

from identity.rpc import log
from identity.server import Clock, Service
from identity.settings import Settings

_PATIENCE = 20.0


class Child:
    """A running service from outside: its address, and the ways in which it may end.

    `stalled` is set when it has stopped where `stall_after` told it to.
    """

    def __init__(self, process: Any, pipe: Connection, log_file: Path) -> None:
        self.address = ""
        self.stalled = asyncio.Event()
        self._process = process
        self._pipe = pipe
        self._log_file = log_file
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        asyncio.get_running_loop().add_reader(pipe.fileno(), self._hear)

    @classmethod
    async def start(cls, directory: Path, *, ahead: float = 0, **settings: Any) -> Child:
        """A service with cheap hashing on a free port, once it serves; its clock is `ahead` by so many seconds."""
        ours, theirs = FORKS.Pipe()
        log_file = directory / "child.log"
        defaults: dict[str, Any] = {
            "data_dir": directory,
            "secret": SECRET,
            "grpc_address": "127.0.0.1:0",
            "hashing_queue": 512,
        }
        process = FORKS.Process(target=_run, args=({**defaults, **settings}, ahead, theirs, log_file), daemon=True)
        await asyncio.to_thread(process.start)
        theirs.close()
        child = cls(process, ours, log_file)
        child.address = await child._answer()
        return child

    @property
    def log(self) -> str:
        """What it has written so far; an unforeseen error is in there, under its reference."""
        return self._log_file.read_text(errors="replace")

    @property
    def is_alive(self) -> bool:
        return bool(self._process.is_alive())

    async def advance(self, seconds: float) -> None:
        """Move its clock, and let it look at its outbox."""
        await self._ask("advance", seconds)

    async def stall_after(self, statements: int) -> None:
        """Have it stop dead once it has run this many more statements that write; 0 stops it before the next."""
        await self._ask("stall_after", statements)

    async def resources(self) -> tuple[int, int, int]:
        """What it holds now: open files, tasks of its loop, and bytes of memory, where the system tells."""
        files, tasks, memory = await self._ask("resources")
        return files, tasks, memory

    async def peak_memory(self) -> int:
        """The most memory that it has ever held, in bytes."""
        return int(await self._ask("peak_memory"))

    def kill(self) -> None:
        """The power goes out, as far as the process can tell."""
        self._process.kill()

    async def stop(self) -> int:
        """Ask it to end as an operator does, and give its exit code."""
        self._process.terminate()
        return await self.ended()

    async def ended(self) -> int:
        """Wait for its end. The exit code is the negative number of the signal that killed it."""
        await asyncio.to_thread(self._process.join, _PATIENCE)
        assert self._process.exitcode is not None, "the process goes on"
        return int(self._process.exitcode)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()

    async def _ask(self, *command: object) -> Any:
        self._pipe.send(command)
        return await self._answer()

    async def _answer(self) -> Any:
        async with asyncio.timeout(_PATIENCE):
            answer = await self._answers.get()
        if isinstance(answer, EOFError):
            raise answer
        return answer

    def _hear(self) -> None:
        try:
            heard = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._answers.put_nowait(EOFError(self.log[-4000:]))
            return
        if heard == _STALLED:
            self.stalled.set()
        else:
            self._answers.put_nowait(heard)


@asynccontextmanager
async def child(directory: Path, *, ahead: float = 0, **settings: Any) -> AsyncIterator[Child]:
    """A child that is gone afterwards."""
    started = await Child.start(directory, ahead=ahead, **settings)
    try:
        yield started
    finally:
        started.close()


# What runs in the child.

_STALLED = "stalled"


class _MovedClock:
    def __init__(self, ahead: float) -> None:
        self.offset = timedelta(seconds=ahead)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


class _Fuse:
    """Counts statements down once it is lit, and then holds whoever runs the next for ever."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._left: int | None = None
        self._lock = threading.Lock()

    def light(self, statements: int) -> None:
        self._left = statements

    def burn(self, by: int) -> None:
        with self._lock:
            if self._left is None:
                return
            self._left -= by
            if self._left > 0:
                return
            self._pipe.send(_STALLED)
            threading.Event().wait()

    def around(self, run: Callable[..., Any], writes: Callable[[Any], bool]) -> Callable[..., Any]:
        """A method of a driver that also burns the fuse, on objects that write."""

        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not writes(self):
                return run(self, *args, **kwargs)
            fuse.burn(0)
            result = run(self, *args, **kwargs)
            fuse.burn(1)
            return result

        fuse = self
        return method


def _fit(fuse: _Fuse) -> None:
    """Put a fuse into both drivers: into every statement, BEGIN and COMMIT of a connection that writes."""

    class Cursor(sqlite3.Cursor):
        execute = fuse.around(sqlite3.Cursor.execute, _in_sqlite_writer)

    class FusedConnection(sqlite3.Connection):
        execute = fuse.around(sqlite3.Connection.execute, _in_sqlite_writer)

        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

    sqlite3.dbapi2.connect = partial(sqlite3.dbapi2.connect, factory=FusedConnection)  # type: ignore[assignment]
    for cls, name in ((psycopg.Cursor, "execute"), (psycopg.Connection, "commit")):
        setattr(cls, name, fuse.around(getattr(cls, name), _in_postgres_writer))


def _open_every_connection(service: Service) -> None:
    """Fill the pools, which keep what they have opened, so that only what is not theirs can add files.

    SQLite opens some of them with the first query.
    """
    observed: Any = service.world.database
    database = observed._database
    for pool in [database._readers, *([database._writers] if database.dialect == "postgresql" else [])]:
        for lease in [pool.acquire(monotonic() + _PATIENCE) for _ in range(pool.size)]:
            lease.driver.execute("SELECT 1 FROM deployment").fetchall()
            lease.driver.rollback()
            pool.release(lease)


def _in_sqlite_writer(_: object) -> bool:
    return threading.current_thread().name == "identity-writer"


def _in_postgres_writer(used: Any) -> bool:
    return not getattr(used, "connection", used).autocommit


def _run(settings: dict[str, Any], ahead: float, pipe: Connection, log_file: Path) -> None:
    os.environ["GRPC_VERBOSITY"] = "ERROR"
    with log_file.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    log.configure(level="warning", json=True)
    fuse = _Fuse(pipe)
    _fit(fuse)
    uvloop.run(_serve(settings, _MovedClock(ahead), fuse, pipe))


async def _serve(settings: dict[str, Any], clock: _MovedClock, fuse: _Fuse, pipe: Connection) -> None:
    service = Service(Settings(**settings), clock=Clock(now=clock), bcrypt_cost=4, log=lambda *_: None)
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)

    def obey() -> None:
        try:
            command, *arguments = pipe.recv()
        except EOFError:  # nobody is left to serve
            os._exit(1)
        match command:
            case "advance":
                clock.offset += timedelta(seconds=arguments[0])
                service.dispatcher.wake()
                pipe.send(None)
            case "stall_after":
                pipe.send(None)
                fuse.light(arguments[0])
            case "resources":
                _open_every_connection(service)
                files, statm = Path("/dev/fd"), Path("/proc/self/statm")
                memory = int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0
                pipe.send((len(list(files.iterdir())), len(asyncio.all_tasks()), memory))
            case "peak_memory":
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                pipe.send(peak if sys.platform == "darwin" else peak * 1024)

    await service.start()
    pipe.send(service.address)
    loop.add_reader(pipe.fileno(), obey)
    await stopping.wait()
    await service.stop()
