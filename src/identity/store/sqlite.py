"""SQLite: one writer thread in front of a WAL file, and readers beside it (F-02, F-14)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import cast

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import NullPool

from identity.store.database import Database, R, T, Usage, refuse_actions
from identity.store.failures import Verdict, judge, outward
from identity.store.pool import Lease, Pool
from identity.store.writer import QUEUE_LIMIT, Writer

READERS = 8
# How long a read waits for one of the readers, and a reader for another process that recovers the file.
_READ_SECONDS = 2.0
# The writer does its own waiting (see `writer.py`); this much is left to SQLite.
_WRITER_BUSY_SECONDS = 0.005


class SqliteDatabase(Database[T]):
    """Writes of all threads meet in one queue; several processes may share the file."""

    def __init__(
        self,
        url: str,
        transaction: Callable[[Connection], T],
        *,
        readers: int = READERS,
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        super().__init__(transaction)
        path = file_of(url)
        reading = create_sqlite_engine(path, busy_seconds=_READ_SECONDS, read_only=True)
        writing = create_sqlite_engine(path, busy_seconds=_WRITER_BUSY_SECONDS)
        self._readers = Pool(lambda: open_connection(reading), readers)
        self._writer = Writer(lambda: open_connection(writing), transaction, self._running, queue_limit)

    @property
    def dialect(self) -> str:
        return "sqlite"

    def read(self, fn: Callable[[T], R], /) -> R:
        def run(lease: Lease[sqlite3.Connection]) -> R:
            unit = self._transaction(lease.connection)
            result = fn(unit)
            refuse_actions(unit)
            return result

        return self._with_reader(run)

    def _with_reader(self, run: Callable[[Lease[sqlite3.Connection]], R]) -> R:
        self._refuse_nesting()
        lease: Lease[sqlite3.Connection] | None = None
        fit = True
        try:
            lease = self._readers.acquire(monotonic() + _READ_SECONDS)
            self._running.unit = True
            return run(lease)
        except BaseException as error:
            verdict = judge(error, reading=True)
            fit = verdict in (Verdict.NOT_OURS, Verdict.FAULT)
            if verdict is Verdict.NOT_OURS:
                raise
            failure = outward(error, verdict)
            raise failure from failure.__cause__
        finally:
            self._running.unit = False
            if lease is not None:
                self._readers.release(lease) if fit else self._readers.discard(lease)

    def write(self, fn: Callable[[T], R], /) -> R:
        self._refuse_nesting()
        return self._writer.submit(fn).result()

    def submit_write(self, fn: Callable[[T], R], /) -> Future[R]:
        return self._writer.submit(fn)

    def usage(self) -> Usage:
        return Usage({"readers": self._readers.in_use}, {"readers": self._readers.size}, self._writer.waiting)

    def ping(self) -> None:
        # Not SELECT 1, which SQLite answers without a look at the file.
        self._with_reader(lambda lease: lease.driver.execute("PRAGMA schema_version").fetchone())

    def close(self) -> None:
        self._writer.close()
        self._readers.close()


def file_of(url: str) -> Path:
    """The file of a `sqlite:///file` URL. Raises ValueError if it names none."""
    name = make_url(url).database
    if not name or name == ":memory:" or name.startswith("file:"):
        # Each connection to a database in memory would see one of its own.
        raise ValueError("the database URL of SQLite names a file, as in sqlite:///identity.db")
    return Path(name)


def create_sqlite_engine(path: Path, *, busy_seconds: float, read_only: bool = False) -> Engine:
    """An engine without a pool whose connections begin and end no transaction by themselves."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=NullPool,
        # sqlite3 would otherwise begin transactions of its own, deferred ones (M11).
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        connect_args={"check_same_thread": False, "cached_statements": 512},
    )

    @event.listens_for(engine, "do_connect")
    def create_private(*_: object) -> None:
        # Password hashes are nobody else's to read; SQLite gives its journal the same mode. What goes wrong
        # here goes wrong again when SQLite opens the file, and is told in its words.
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))

    @event.listens_for(engine, "connect")
    def set_up(driver: sqlite3.Connection, _: object) -> None:
        driver.execute(f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}")
        if read_only:
            driver.execute("PRAGMA query_only = ON")
        else:
            driver.execute("PRAGMA journal_mode = WAL")
            driver.execute("PRAGMA synchronous = FULL")
            driver.execute("PRAGMA foreign_keys = ON")
            driver.execute("PRAGMA journal_size_limit = 67108864")

    return engine


def open_connection(engine: Engine) -> tuple[Connection, sqlite3.Connection]:
    connection = engine.connect()
    return connection, cast(sqlite3.Connection, connection.connection.driver_connection)
