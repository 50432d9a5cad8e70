"""What only PostgreSQL does: conflicts, lost connections, limits, and the URL that configures it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic

import psycopg
import pytest
from sqlalchemy import text
from tests.postgres import shared_cluster
from tests.relay import Relay
from tests.store.counters import CounterUnit, value_of

from identity.domain.errors import ServiceUnavailable
from identity.store.breaker import THRESHOLD
from identity.store.database import open_database
from identity.store.postgres import ATTEMPTS, READERS, WRITERS, PostgresDatabase
from identity.store.postgres_engine import connection_parameters


@pytest.fixture
def dialect() -> str:
    return "postgresql"


@pytest.fixture
def database(counter_url: str) -> Iterator[PostgresDatabase[CounterUnit]]:
    database = PostgresDatabase(counter_url, CounterUnit)
    for name in "ab":
        database.write(partial(CounterUnit.add, name=name))
    yield database
    database.close()


Database = PostgresDatabase[CounterUnit]


def fail_with(tx: CounterUnit, state: str) -> None:
    tx.connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '{state}'; END $$"))


def terminate(tx: CounterUnit) -> None:
    """Have the server close the connection of a unit under its feet."""
    pid = tx.connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with psycopg.connect(shared_cluster().url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def setting(name: str) -> Callable[[CounterUnit], str]:
    return lambda tx: str(tx.connection.execute(text(f"SHOW {name}")).scalar_one())


def test_AV_03_no_more_connections_are_opened_than_the_setting_allows(counter_url: str) -> None:
    """However many units come at the same time, and whatever they do."""
    database = open_database(counter_url, CounterUnit, connections=5)
    database.write(partial(CounterUnit.add, name="a"))

    def look(number: int) -> int:
        run = database.write if number % 2 else database.read
        ours = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'identity' AND datname = current_database()"
        )
        return int(run(lambda tx: tx.connection.execute(text(ours)).scalar_one()))

    with ThreadPoolExecutor(16) as threads:
        seen = max(threads.map(look, range(64)))

    assert database.usage().limit == {"readers": 2, "writers": 3}
    assert 1 < seen <= 5
    assert set(database.usage().in_use.values()) == {0}
    database.close()


def test_two_units_in_each_others_way_both_succeed(database: Database) -> None:
    met = threading.Barrier(2)
    runs: list[str] = []

    def unit(first: str, second: str) -> Callable[[CounterUnit], None]:
        def fn(tx: CounterUnit) -> None:
            runs.append(first)
            tx.bump(first)
            if runs.count(first) == 1:
                met.wait(10)
            tx.bump(second)

        return fn

    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(database.write, unit(*names)) for names in ("ab", "ba")]:
            future.result()
    assert (value_of(database, "a"), value_of(database, "b")) == (2, 2)
    assert len(runs) == 3  # PostgreSQL made one of them the victim of the deadlock


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_conflicts_are_tried_again_but_not_for_ever(database: Database, state: str) -> None:
    runs: list[int] = []
    committed: list[str] = []

    def unit(tx: CounterUnit) -> None:
        runs.append(tx.bump("a"))
        tx.after_commit(lambda: committed.append("a"))
        fail_with(tx, state)

    with pytest.raises(ServiceUnavailable):
        database.write(unit)
    assert runs == [1] * ATTEMPTS
    assert committed == []
    assert value_of(database, "a") == 0


def test_a_conflict_that_passes_is_not_noticed(database: Database) -> None:
    runs: list[int] = []
    committed: list[int] = []

    def unit(tx: CounterUnit) -> int:
        runs.append(1)
        value = tx.bump("a")
        tx.after_commit(lambda: committed.append(value))
        if len(runs) == 1:
            fail_with(tx, "40001")
        return value

    assert database.write(unit) == 1
    assert (len(runs), committed, value_of(database, "a")) == (2, [1], 1)


def test_a_connection_lost_before_the_commit_costs_another_run(database: Database) -> None:
    runs: list[int] = []

    def unit(tx: CounterUnit) -> int:
        runs.append(tx.bump("a"))
        if len(runs) == 1:
            terminate(tx)
        return tx.bump("b")

    assert database.write(unit) == 1
    assert runs == [1, 1]
    assert (value_of(database, "a"), value_of(database, "b")) == (1, 1)


def test_no_dead_connection_is_handed_out_twice(database: Database) -> None:
    """F-11: the server went while all connections were idle; the first to notice notices for all."""
    everybody = threading.Barrier(READERS)

    def meet(tx: CounterUnit) -> None:
        tx.get("a")
        everybody.wait(10)

    with ThreadPoolExecutor(READERS) as threads:
        list(threads.map(lambda _: database.read(meet), range(READERS)))
    with psycopg.connect(shared_cluster().url(), autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'identity'"
        )
    runs: list[int] = []

    def count(tx: CounterUnit) -> int | None:
        runs.append(1)
        return tx.get("a")

    for _ in range(READERS):
        assert database.read(count) == 0
    assert len(runs) == READERS + 1


def test_a_primary_that_became_a_standby_is_left_for_another(database: Database) -> None:
    """F-13: its connections live on, but take no writes any more."""
    backends: list[int] = []

    def unit(tx: CounterUnit) -> int:
        backends.append(tx.connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        if len(backends) == 1:
            tx.connection.execute(text("SET TRANSACTION READ ONLY"))
        return tx.bump("a")

    assert database.write(unit) == 1
    assert len(set(backends)) == 2


def test_a_commit_without_an_answer_is_not_tried_again(counter_url: str) -> None:
    """F-13, F-19: it may have happened. Whoever asked must look, or ask again in a way that may repeat."""
    with Relay(shared_cluster().socket) as relay:
        database = open_database(relay.url(counter_url), CounterUnit)
        database.write(lambda tx: tx.add("a"))
        relay.mute_after = b"COMMIT\0"
        runs: list[int] = []
        with pytest.raises(ServiceUnavailable) as caught:
            database.write(lambda tx: runs.append(tx.bump("a")))
        relay.mute_after = None
        assert runs == [1]
        assert "CommitInDoubt" in str(caught.value.__cause__)
        assert value_of(database, "a") == 1
        database.close()


def test_a_slow_statement_is_ended_in_time(database: Database) -> None:
    started = monotonic()
    with pytest.raises(ServiceUnavailable):
        database.write(lambda tx: tx.connection.execute(text("SELECT pg_sleep(30)")))
    assert monotonic() - started < 3


@pytest.mark.parametrize("kind", ["read", "write"])
def test_slow_statements_are_no_outage(counter_url: str, kind: str) -> None:
    database = open_database(f"{counter_url}&options=-c%20statement_timeout%3D20", CounterUnit)
    for _ in range(THRESHOLD):
        with pytest.raises(ServiceUnavailable):
            getattr(database, kind)(lambda tx: tx.connection.execute(text("SELECT pg_sleep(30)")))
    database.ping()
    database.close()


def test_AV_02_time_that_ran_out_behind_a_lock_is_no_outage(database: Database, counter_url: str) -> None:
    """A unit that has little time left when it meets a lock fails alone; the server has said all that it had to say."""
    with psycopg.connect(counter_url) as holder:
        holder.execute("UPDATE counters SET value = 5 WHERE name = 'a'")
        with pytest.raises(ServiceUnavailable):
            database._write(lambda tx: tx.bump("a"), monotonic() + 0.2)
        assert not database.is_away
        assert database.write(lambda tx: tx.bump("b")) == 1


def test_a_row_that_is_locked_is_not_waited_for_without_end(database: Database, counter_url: str) -> None:
    with psycopg.connect(counter_url) as other:
        other.execute("UPDATE counters SET value = 5 WHERE name = 'a'")
        started = monotonic()
        with pytest.raises(ServiceUnavailable):
            database.write(lambda tx: tx.bump("a"))
        assert monotonic() - started < 3
    assert database.write(lambda tx: tx.bump("a")) == 6


def test_connections_are_bounded_whoever_calls(database: Database) -> None:
    """AV-03."""
    count = text(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'identity' AND datname = current_database()"
    )

    def read(_: int) -> int:
        return int(database.read(lambda tx: tx.connection.execute(count).scalar_one()))

    with ThreadPoolExecutor(100) as threads:
        values = [threads.submit(database.write, lambda tx: tx.bump("a")) for _ in range(500)]
        counts = list(threads.map(read, range(500)))
        assert sorted(future.result() for future in values) == list(range(1, 501))
    assert max(counts) <= READERS + WRITERS


def test_sessions_have_limits_and_a_plain_state(database: Database) -> None:
    expected = {
        "statement_timeout": "2500ms",
        "lock_timeout": "2s",
        "idle_in_transaction_session_timeout": "5s",
        "timezone": "UTC",
        "application_name": "identity",
    }
    for run in (database.read, database.write):
        assert {name: run(setting(name)) for name in expected} == expected
    assert database.write(setting("transaction_isolation")) == "read committed"
    assert database.read(setting("transaction_read_only")) == "on"


def test_an_acknowledged_write_is_on_disk_even_where_the_server_is_lax(counter_url: str) -> None:
    for given, expected in (("off", "on"), ("remote_apply", "remote_apply")):
        lax = open_database(f"{counter_url}&options=-c%20synchronous_commit%3D{given}", CounterUnit)
        assert lax.write(setting("synchronous_commit")) == expected
        lax.close()


def test_a_url_says_what_libpq_understands_and_wins() -> None:
    parameters = connection_parameters(
        "postgresql+psycopg://me:secret@one:5433,two/db?sslmode=verify-full&target_session_attrs=read-write"
        "&connect_timeout=7&options=-c%20statement_timeout%3D1",
        {"statement_timeout": 2500},
    )
    assert parameters == {
        "user": "me",
        "password": "secret",
        "host": "one,two",
        "port": "5433,",
        "dbname": "db",
        "sslmode": "verify-full",
        "target_session_attrs": "read-write",
        "application_name": "identity",
        "connect_timeout": "7",
        "options": "-c statement_timeout=2500 -c statement_timeout=1",
    }


def test_a_url_that_is_wrong_is_not_quoted() -> None:
    with pytest.raises(ValueError, match="database URL") as caught:
        open_database("postgresql://me:secret@host:notaport/db?nonsense=1", CounterUnit)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
