"""Units of work on both engines: whole or not at all, and answered only when they are kept."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from itertools import product

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from tests.logs import captured_log, lines
from tests.store.counters import CounterUnit, value_of

from identity.domain.errors import EmailTaken, Overloaded, ServiceUnavailable
from identity.store.database import Database, open_database
from identity.store.failures import StoreError
from identity.store.postgres import PostgresDatabase
from identity.store.sqlite import SqliteDatabase

Counters = Database[CounterUnit]


class RefusedError(Exception):
    """Raised by units in these tests."""


class RefusedAndKeptError(Exception):
    commits = True


@contextmanager
def held(database: Counters) -> Iterator[Future[None]]:
    """A unit that is in the middle of its work while the context lasts."""
    started, released = threading.Event(), threading.Event()

    def hold(_: CounterUnit) -> None:
        started.set()
        assert released.wait(30)

    future = database.submit_write(hold)
    assert started.wait(30)
    try:
        yield future
    finally:
        released.set()


def test_a_unit_is_kept_as_a_whole_and_its_result_comes_back(counters: Counters) -> None:
    def unit(tx: CounterUnit) -> int:
        tx.add("a")
        tx.add("b", 6)
        return tx.bump("b")

    assert counters.write(unit) == 7
    assert counters.read(lambda tx: (tx.get("a"), tx.get("b"))) == (0, 7)


def test_what_a_unit_raises_comes_out_unchanged_and_nothing_of_it_stays(counters: Counters) -> None:
    error = EmailTaken(field="email")
    committed: list[str] = []

    def unit(tx: CounterUnit) -> None:
        tx.add("a")
        tx.after_commit(lambda: committed.append("a"))
        raise error

    with pytest.raises(EmailTaken) as caught:
        counters.write(unit)
    assert caught.value is error
    assert value_of(counters, "a") is None
    assert committed == []


def test_an_error_that_commits_keeps_the_writes_and_still_comes_out(counters: Counters) -> None:
    committed: list[str] = []

    def unit(tx: CounterUnit) -> None:
        tx.add("a")
        tx.after_commit(lambda: committed.append("a"))
        raise RefusedAndKeptError

    with pytest.raises(RefusedAndKeptError):
        counters.write(unit)
    assert value_of(counters, "a") == 0
    assert committed == ["a"]


def test_actions_run_once_in_order_when_others_can_see_the_commit(counters: Counters) -> None:
    seen: list[tuple[str, int | None]] = []

    def look(name: str) -> None:
        # Units do not nest, and an action still belongs to one: another thread looks.
        with ThreadPoolExecutor(1) as other:
            seen.append((name, other.submit(value_of, counters, "a").result()))

    def unit(tx: CounterUnit) -> None:
        tx.after_commit(lambda: look("first"))
        tx.add("a", 3)
        tx.after_commit(lambda: look("second"))

    counters.write(unit)
    assert seen == [("first", 3), ("second", 3)]


def test_an_action_that_fails_changes_nothing_for_the_caller(
    counters: Counters,
) -> None:
    done: list[int] = []

    def unit(tx: CounterUnit) -> int:
        tx.add("a")
        tx.after_commit(lambda: done.append(1 // 0))
        tx.after_commit(lambda: done.append(2))
        return 5

    with captured_log() as (_, log):
        assert counters.write(unit) == 5
    assert value_of(counters, "a") == 0
    assert done == [2]
    assert [line["raised"][0]["type"] for line in lines(log, level="error")] == ["ZeroDivisionError"]


def test_a_unit_that_fails_takes_nothing_of_its_neighbours_with_it(counters: Counters) -> None:
    committed: list[int] = []

    def unit(tx: CounterUnit, number: int) -> int:
        tx.after_commit(lambda: committed.append(number))
        tx.add(f"c{number}", number)
        match number % 4:
            case 1:
                raise RefusedError(number)
            case 2:
                tx.add(f"c{number}")  # the same name again
            case 3:
                raise RefusedAndKeptError(number)
        return number

    with held(counters):
        futures = [counters.submit_write(partial(unit, number=number)) for number in range(32)]
    wait(futures)

    assert sorted(committed) == [number for number in range(32) if number % 4 in (0, 3)]
    for number, future in enumerate(futures):
        error = future.exception()
        kept = value_of(counters, f"c{number}")
        match number % 4:
            case 0:
                assert (future.result(), kept) == (number, number)
            case 1:
                assert (type(error), kept) == (RefusedError, None)
            case 2:
                assert (type(error), kept) == (StoreError, None)
            case 3:
                assert (type(error), kept) == (RefusedAndKeptError, number)


def test_one_of_64_threads_wins_a_conditional_update(counters: Counters) -> None:
    counters.write(lambda tx: tx.add("a"))
    start = threading.Barrier(64)

    def race(expected: int) -> bool:
        start.wait(30)
        return counters.write(lambda tx: tx.bump_from("a", expected))

    with ThreadPoolExecutor(64) as threads:
        for round_ in range(5):
            wins = list(threads.map(race, [round_] * 64))
            assert sum(wins) == 1
    assert value_of(counters, "a") == 5


def test_every_increment_of_many_threads_counts(counters: Counters) -> None:
    counters.write(lambda tx: tx.add("a"))
    with ThreadPoolExecutor(16) as threads:
        values = list(threads.map(lambda _: counters.write(lambda tx: tx.bump("a")), range(320)))
    assert sorted(values) == list(range(1, 321))


def test_a_reader_holds_up_no_writer(counters: Counters) -> None:
    counters.write(lambda tx: tx.add("a"))
    reading, written = threading.Event(), threading.Event()

    def slow(tx: CounterUnit) -> int | None:
        before = tx.get("a")
        reading.set()
        assert written.wait(30)
        return before

    with ThreadPoolExecutor(1) as other:
        reader = other.submit(counters.read, slow)
        assert reading.wait(30)
        assert counters.write(lambda tx: tx.bump("a")) == 1
        written.set()
        assert reader.result() == 0


def test_a_writer_holds_up_no_reader(counters: Counters) -> None:
    counters.write(lambda tx: tx.add("a"))
    written, read = threading.Event(), threading.Event()

    def slow(tx: CounterUnit) -> None:
        tx.bump("a")
        written.set()
        assert read.wait(30)

    future = counters.submit_write(slow)
    assert written.wait(30)
    assert value_of(counters, "a") == 0
    read.set()
    future.result()
    assert value_of(counters, "a") == 1


def test_units_do_not_nest(counters: Counters) -> None:
    def nothing(_: CounterUnit) -> None: ...

    kinds = (counters.read, counters.write)
    for outer, inner in product(kinds, kinds):
        with pytest.raises(RuntimeError, match="do not nest"):
            outer(lambda _: inner(nothing))  # noqa: B023  # called before the loop goes on
    counters.write(nothing)


def test_a_read_can_write_nothing(counters: Counters) -> None:
    with pytest.raises(StoreError):
        counters.read(lambda tx: tx.add("a"))
    with pytest.raises(RuntimeError, match="no commit"):
        counters.read(lambda tx: tx.after_commit(lambda: None))
    assert value_of(counters, "a") is None


def test_no_value_of_a_row_leaves_with_an_error(counters: Counters) -> None:
    """N-24: PostgreSQL quotes the offending value in the text of its errors."""
    canary = "-".join(("canary", "value"))
    counters.write(lambda tx: tx.add(canary))
    with pytest.raises(StoreError) as caught:
        counters.write(lambda tx: tx.add(canary))
    told = "".join(traceback.format_exception(caught.value))
    assert canary not in told
    assert "INSERT INTO counters" in told


def test_a_unit_sees_the_drivers_integrity_error_and_may_translate_it(counters: Counters) -> None:
    counters.write(lambda tx: tx.add("a"))

    def unit(tx: CounterUnit) -> None:
        try:
            tx.add("a")
        except IntegrityError:
            raise EmailTaken from None

    with pytest.raises(EmailTaken):
        counters.write(unit)


def test_a_unit_may_go_on_after_a_failure_inside_a_savepoint(counters: Counters) -> None:
    counters.write(lambda tx: tx.add("a"))

    def unit(tx: CounterUnit) -> int:
        with pytest.raises(IntegrityError), tx.connection.begin_nested():
            tx.add("a")
        return tx.bump("a")

    assert counters.write(unit) == 1
    assert value_of(counters, "a") == 1


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_a_unit_that_ignores_a_failed_statement_is_not_answered_as_if_kept(counters: Counters) -> None:
    """PostgreSQL answers the COMMIT of a failed transaction with a rollback and without an error."""
    counters.write(lambda tx: tx.add("a"))

    def unit(tx: CounterUnit) -> None:
        tx.add("b")
        with pytest.raises(IntegrityError):
            tx.add("a")

    with pytest.raises(StoreError, match="went on"):
        counters.write(unit)
    assert value_of(counters, "b") is None


def test_nobody_is_answered_before_the_commit(counters: Counters) -> None:
    """F-02. On SQLite a unit waits for the neighbours that share its transaction."""
    first_ran = threading.Event()
    second_runs, released = threading.Event(), threading.Event()

    def first(tx: CounterUnit) -> None:
        tx.add("a")
        tx.after_commit(committed.set)
        first_ran.set()

    def second(_: CounterUnit) -> None:
        second_runs.set()
        assert released.wait(30)

    committed = threading.Event()
    with held(counters):
        future, neighbour = counters.submit_write(first), counters.submit_write(second)
    assert first_ran.wait(30)
    assert second_runs.wait(30)
    if counters.dialect == "sqlite":
        assert not future.done()
        assert not committed.is_set()
        assert value_of(counters, "a") is None
    released.set()
    neighbour.result()
    future.result()
    assert committed.is_set()
    assert value_of(counters, "a") == 0


def test_a_unit_whose_future_was_cancelled_in_time_does_not_run(counter_url: str) -> None:
    database: Counters = open_database(counter_url, CounterUnit)
    if isinstance(database, PostgresDatabase):
        database.close()
        database = PostgresDatabase(counter_url, CounterUnit, writers=1)
    with held(database):
        cancelled = database.submit_write(lambda tx: tx.add("a"))
        after = database.submit_write(lambda tx: tx.add("b"))
        assert cancelled.cancel()
    after.result()
    assert (value_of(database, "a"), value_of(database, "b")) == (None, 0)
    database.close()


def test_a_full_queue_refuses_at_once(counter_url: str, dialect: str) -> None:
    database: Counters
    if dialect == "sqlite":
        database = SqliteDatabase(counter_url, CounterUnit, queue_limit=2)
    else:
        # Those that run count as well here.
        database = PostgresDatabase(counter_url, CounterUnit, writers=1, queue_limit=3)
    with held(database):
        accepted = [database.submit_write(partial(CounterUnit.add, name=name)) for name in "ab"]
        with pytest.raises(Overloaded) as caught:
            database.submit_write(lambda tx: tx.add("c"))
        assert caught.value.retry_after
    wait(accepted)
    database.write(lambda tx: tx.add("d"))
    assert [value_of(database, name) for name in "abcd"] == [0, 0, None, 0]
    database.close()


def test_closing_finishes_what_was_accepted_and_refuses_the_rest(counter_url: str) -> None:
    database = open_database(counter_url, CounterUnit)
    with held(database):
        accepted = [database.submit_write(partial(CounterUnit.add, name=name)) for name in "abc"]
        closing = threading.Thread(target=database.close)
        closing.start()
    closing.join(30)
    assert [future.exception() for future in accepted] == [None, None, None]
    for call in (database.read, database.write, database.submit_write):
        with pytest.raises(ServiceUnavailable):
            call(lambda tx: tx.get("a"))
    database.close()


def test_ping_asks_the_database(counters: Counters) -> None:
    counters.ping()


def test_only_the_two_engines_are_opened() -> None:
    for url in ("mysql://localhost/x", "nonsense", "sqlite://", "sqlite:///:memory:", "postgresql://%zz"):
        with pytest.raises(ValueError, match="database URL"):
            open_database(url, CounterUnit)


def test_a_statement_that_is_wrong_is_no_outage(counters: Counters) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        counters.read(lambda tx: tx.connection.execute(text("SELECT 1 FROM nowhere")))
    counters.ping()
