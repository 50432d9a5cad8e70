"""What only SQLite does: one file, one writer, other processes at its door, and full disks (F-14)."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import text
from tests.store.children import bump_often, child, fill_the_disk
from tests.store.counters import CounterUnit, value_of

from identity.domain.errors import ServiceUnavailable
from identity.store.database import open_database
from identity.store.sqlite import SqliteDatabase, file_of
from identity.store.writer import BUSY_SECONDS


@pytest.fixture
def dialect() -> str:
    return "sqlite"


@pytest.fixture
def path(counter_url: str) -> Path:
    return file_of(counter_url)


@pytest.fixture
def database(counter_url: str) -> Iterator[SqliteDatabase[CounterUnit]]:
    database = SqliteDatabase(counter_url, CounterUnit)
    database.write(lambda tx: tx.add("a"))
    yield database
    database.close()


Database = SqliteDatabase[CounterUnit]


@contextmanager
def a_group(database: Database) -> Iterator[None]:
    """Units that are submitted meanwhile share one transaction."""
    started, released = threading.Event(), threading.Event()

    def hold(_: CounterUnit) -> None:
        started.set()
        assert released.wait(30)

    database.submit_write(hold)
    assert started.wait(30)
    yield
    released.set()


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process, as far as SQLite can tell, that is writing."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        if other.in_transaction:
            other.execute("ROLLBACK")


def pragma(name: str, tx: CounterUnit) -> object:
    return tx.connection.execute(text(f"PRAGMA {name}")).scalar_one()


def fill_up(tx: CounterUnit) -> None:
    """Let the file grow no more, and try to make it grow."""
    pragma(f"max_page_count = {pragma('page_count', tx)}", tx)
    for number in range(1000):
        tx.add(f"{number:060}")


def test_the_file_is_durable_checked_and_private(database: Database, path: Path) -> None:
    assert [database.write(partial(pragma, name)) for name in ("journal_mode", "synchronous", "foreign_keys")] == [
        "wal",
        2,
        1,
    ]
    new = path.with_name("new.db")
    other = open_database(f"sqlite:///{new}", CounterUnit)
    other.write(lambda tx: tx.connection.execute(text("CREATE TABLE t (x)")))
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(f"{new}-wal").stat().st_mode) == 0o600
    other.close()


def test_units_that_wait_share_a_transaction(database: Database) -> None:
    statements: list[str] = []

    def trace(tx: CounterUnit) -> None:
        tx.connection.connection.driver_connection.set_trace_callback(statements.append)  # type: ignore[union-attr]

    database.write(trace)
    statements.clear()
    with a_group(database):
        futures = [database.submit_write(lambda tx: tx.bump("a")) for _ in range(10)]
    assert [future.result() for future in futures] == list(range(1, 11))
    assert sum(statement.startswith("UPDATE") for statement in statements) == 10
    # One for the unit that made the others wait, one for all of them.
    assert statements.count("BEGIN IMMEDIATE") == statements.count("COMMIT") == 2


def test_a_constraint_that_is_checked_at_the_commit_fails_its_own_unit_alone(database: Database) -> None:
    database.write(
        lambda tx: tx.connection.execute(
            text("CREATE TABLE children (name REFERENCES counters (name) DEFERRABLE INITIALLY DEFERRED)")
        )
    )

    def orphan(tx: CounterUnit) -> None:
        tx.connection.execute(text("INSERT INTO children VALUES ('nobody')"))

    committed: list[int] = []

    def bump(tx: CounterUnit) -> int:
        value = tx.bump("a")
        tx.after_commit(lambda: committed.append(value))
        return value

    with a_group(database):
        good = [database.submit_write(bump) for _ in range(3)]
        bad = database.submit_write(orphan)
        good += [database.submit_write(bump) for _ in range(3)]
    assert [future.result() for future in good] == committed == list(range(1, 7))
    assert type(bad.exception()).__name__ == "StoreError"
    assert value_of(database, "a") == 6


def test_F14_a_unit_that_fills_the_disk_takes_no_neighbour_with_it(database: Database, path: Path) -> None:
    futures: list[Future[int]] = []
    with a_group(database):
        futures += [database.submit_write(lambda tx: tx.bump("a")) for _ in range(3)]
        full = database.submit_write(fill_up)
        futures += [database.submit_write(lambda tx: tx.bump("a")) for _ in range(3)]
    assert isinstance(full.exception(), ServiceUnavailable)
    assert [future.result() for future in futures] == list(range(1, 7))
    assert value_of(database, "a") == 6
    assert database.write(lambda tx: tx.bump("a")) == 7


def test_F14_a_full_disk_refuses_writes_serves_reads_and_is_survived(counter_url: str, path: Path) -> None:
    with child(fill_the_disk, counter_url, Path(f"{path}-wal")) as (_, pipe):
        kept, lost, still_readable = pipe.recv()
    assert lost > 0
    assert still_readable
    assert set(range(200, 210)) <= set(kept)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = connection.execute("SELECT name FROM counters").fetchall()
    assert sorted(int(name) for (name,) in rows) == kept


def test_another_process_that_writes_is_waited_for(database: Database, path: Path) -> None:
    with locked(path) as other:
        other.execute("UPDATE counters SET value = 5")
        future = database.submit_write(lambda tx: tx.bump("a"))
        other.execute("COMMIT")
    assert future.result(BUSY_SECONDS) == 6


def test_another_process_that_does_not_let_go_is_not_waited_for_without_end(database: Database, path: Path) -> None:
    started = monotonic()
    with locked(path):
        futures = [database.submit_write(lambda tx: tx.bump("a")) for _ in range(200)]
        wait(futures, timeout=30)
        # All at once: a queue in which each waits for his own timeout would take minutes.
        assert monotonic() - started < 3
        assert {type(future.exception()) for future in futures} == {ServiceUnavailable}
        assert value_of(database, "a") == 0
    assert database.write(lambda tx: tx.bump("a")) == 1


def test_two_processes_share_a_file(database: Database, counter_url: str) -> None:
    """F-20: no increment is lost, and neither starves the other."""
    slowest = 0.0
    with child(bump_often, counter_url, 4, 100) as (_, one), child(bump_often, counter_url, 4, 100) as (_, two):
        for pipe in (one, two):
            assert pipe.recv() == "ready"
        for pipe in (one, two):
            pipe.send("go")
        while not (one.poll() and two.poll()):
            started = monotonic()
            database.write(partial(CounterUnit.add, name=f"{started}"))
            slowest = max(slowest, monotonic() - started)
    assert value_of(database, "a") == 800
    assert slowest < BUSY_SECONDS


def test_a_reader_keeps_no_old_snapshot(database: Database) -> None:
    """Also where a unit left rows unread, on the connection that the next reader gets."""

    def one_of_many(tx: CounterUnit) -> object:
        return tx.connection.execute(text("SELECT value FROM counters UNION ALL SELECT 7")).fetchone()

    assert database.read(one_of_many) == (0,)
    database.write(lambda tx: tx.bump("a"))
    assert value_of(database, "a") == 1


def test_a_file_that_cannot_be_opened_is_an_outage_that_ends(tmp_path: Path) -> None:
    folder = tmp_path / "not-yet"
    database = open_database(f"sqlite:///{folder / 'identity.db'}", CounterUnit)
    for call in (database.read, database.write):
        with pytest.raises(ServiceUnavailable):
            call(lambda tx: tx.get("a"))
    folder.mkdir()
    database.write(lambda tx: tx.connection.execute(text("CREATE TABLE t (x)")))
    database.ping()
    database.close()
