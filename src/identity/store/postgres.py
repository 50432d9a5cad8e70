"""PostgreSQL: bounded pools, bounded waiting, bounded retries (F-11, F-13, AV-02, AV-03)."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection

from identity.domain.errors import DomainError, Overloaded, ServiceUnavailable
from identity.store.bounded import BoundedConnection, CommitInDoubtError
from identity.store.breaker import PAUSE, Breaker
from identity.store.database import Action, Database, R, T, Usage, commits, refuse_actions, run_actions
from identity.store.failures import StoreError, Verdict, judge, outward
from identity.store.pool import Lease, Pool
from identity.store.postgres_engine import CONNECT_SECONDS, UNIT_SECONDS, create_postgres_engine, open_connection

# Connections of one process. Writes that wait for a row do not take the readers' connections with them.
READERS = 8
WRITERS = 8
# Units that `submit_write` has accepted and not finished.
QUEUE_LIMIT = 1024
ATTEMPTS = 3
_BACKOFF_SECONDS = 0.01
# What a rollback may take beyond the deadline of its unit, before the connection is given up instead.
_ROLLBACK_SECONDS = 0.1
# Nothing of the unit is left in the database, and another run may go better.
_WORTH_ANOTHER_RUN = (Verdict.CONFLICT, Verdict.LOST, Verdict.STALE)


class PostgresDatabase(Database[T]):
    """Units run in the threads of their callers, those of `submit_write` in threads kept for them."""

    def __init__(
        self,
        url: str,
        transaction: Callable[[Connection], T],
        *,
        readers: int = READERS,
        writers: int = WRITERS,
        queue_limit: int = QUEUE_LIMIT,
    ) -> None:
        super().__init__(transaction)
        reading, writing = create_postgres_engine(url, read_only=True), create_postgres_engine(url)
        self._readers = Pool(lambda: open_connection(reading), readers)
        self._writers = Pool(lambda: open_connection(writing), writers)
        self._breaker = Breaker()
        self._executor = ThreadPoolExecutor(writers, thread_name_prefix="identity-write")
        self._queued: set[Future[Any]] = set()
        self._places = threading.BoundedSemaphore(queue_limit)

    @property
    def dialect(self) -> str:
        return "postgresql"

    @property
    def is_away(self) -> bool:
        return self._breaker.is_open

    def read(self, fn: Callable[[T], R], /) -> R:
        def run(lease: Lease[BoundedConnection]) -> R:
            unit = self._transaction(lease.connection)
            result = fn(unit)
            refuse_actions(unit)
            return result

        return self._run(self._readers, run, monotonic() + UNIT_SECONDS)

    def write(self, fn: Callable[[T], R], /) -> R:
        return self._write(fn, monotonic() + UNIT_SECONDS)

    def submit_write(self, fn: Callable[[T], R], /) -> Future[R]:
        if not self._places.acquire(blocking=False):
            raise Overloaded(retry_after=1)
        try:
            # The time in the queue counts: whoever waits for the future waits no longer than for `write`.
            future = self._executor.submit(self._write, fn, monotonic() + UNIT_SECONDS)
        except RuntimeError:
            self._places.release()
            raise ServiceUnavailable from None
        self._queued.add(future)
        future.add_done_callback(self._leave)
        return future

    def _leave(self, future: Future[Any]) -> None:
        self._queued.discard(future)
        self._places.release()

    def usage(self) -> Usage:
        pools = {"readers": self._readers, "writers": self._writers}
        in_use, limit = ({name: getattr(pool, what) for name, pool in pools.items()} for what in ("in_use", "size"))
        return Usage(in_use, limit, len(self._queued))

    def ping(self) -> None:
        self._run(self._readers, lambda lease: lease.driver.execute("SELECT 1"), monotonic() + UNIT_SECONDS)

    def close(self) -> None:
        self._executor.shutdown()
        self._writers.close()
        self._readers.close()

    def _write(self, fn: Callable[[T], R], deadline: float) -> R:
        def run(lease: Lease[BoundedConnection]) -> _Outcome:
            unit = self._transaction(lease.connection)
            outcome = _Outcome(unit.actions)
            try:
                outcome.result = fn(unit)
            except BaseException as error:
                if not commits(error):
                    raise
                outcome.error = error
            _commit(lease.driver)
            return outcome

        outcome = self._run(self._writers, run, deadline)
        run_actions(outcome.actions)
        if outcome.error is not None:
            raise outcome.error
        return cast(R, outcome.result)

    def _run(self, pool: Pool[BoundedConnection], work: Callable[[Lease[BoundedConnection]], R], deadline: float) -> R:
        """Do `work` on a connection, again if the database asks for it, and give up at the deadline."""
        self._refuse_nesting()
        looking = self._breaker.admit()
        for attempt in range(1, ATTEMPTS + 1):
            lease = self._lease(pool, deadline, looking)
            lease.driver.deadline = deadline
            self._running.unit = True
            try:
                result = work(lease)
            except BaseException as error:
                verdict = self._take_back(pool, lease, error)
                if verdict is Verdict.NOT_OURS:
                    raise
                again = verdict in _WORTH_ANOTHER_RUN and not isinstance(_driver_error(error), CommitInDoubtError)
                if attempt == ATTEMPTS or not again or monotonic() > deadline:
                    failure = outward(error, verdict)
                    raise failure from failure.__cause__
            else:
                pool.release(lease)
                self._breaker.succeeded()
                return result
            finally:
                self._running.unit = False
            # Spread, so that two that were in each other's way do not meet again.
            sleep(random.uniform(0, _BACKOFF_SECONDS * attempt))  # noqa: S311
        raise AssertionError("the last attempt returns or raises")

    def _lease(self, pool: Pool[BoundedConnection], deadline: float, looking: bool) -> Lease[BoundedConnection]:
        def check() -> None:
            # A caller that waited while the outage became known, or too long to wait for a connect as well.
            if (self._breaker.is_open and not looking) or deadline - monotonic() < CONNECT_SECONDS:
                raise ServiceUnavailable(retry_after=PAUSE)

        try:
            return pool.acquire(deadline, check)
        except DomainError:
            raise
        except Exception as error:
            self._breaker.failed(silent=_is_silent(error))
            verdict = judge(error)
            failure = outward(error, verdict)
            raise failure from failure.__cause__

    def _take_back(
        self, pool: Pool[BoundedConnection], lease: Lease[BoundedConnection], error: BaseException
    ) -> Verdict:
        """Undo what a failed unit did, and keep its connection if it is still good."""
        verdict = judge(error, reading=pool is self._readers)
        if _is_silent(error):
            self._breaker.failed(silent=True)
        if verdict in (Verdict.LOST, Verdict.STALE):
            pool.forget(lease)
            return verdict
        try:
            lease.driver.deadline = max(lease.driver.deadline, monotonic() + _ROLLBACK_SECONDS)
            lease.driver.rollback()
        except Exception:
            pool.forget(lease)
        else:
            pool.release(lease)
        return verdict


@dataclass(slots=True)
class _Outcome:
    actions: list[Action]
    result: Any = None
    error: BaseException | None = None


def _commit(driver: BoundedConnection) -> None:
    status = driver.pgconn.transaction_status
    if status == TransactionStatus.IDLE:
        return
    if status != TransactionStatus.INTRANS:
        # PostgreSQL answers such a COMMIT with a rollback and without an error.
        raise StoreError("the unit went on after one of its statements had failed")
    try:
        driver.commit()
    except psycopg.Error as error:
        if judge(error) is Verdict.LOST:
            raise CommitInDoubtError(str(error)) from None
        raise


def _is_silent(error: BaseException) -> bool:
    """Whether the server said nothing at all, which it does not do because of one statement.

    A unit whose time ran out while it waited for a neighbour's lock has not found an outage.
    """
    driver = _driver_error(error)
    return isinstance(driver, psycopg.errors.ConnectionTimeout) or getattr(driver, "is_silent", False)


def _driver_error(error: BaseException) -> object:
    return getattr(error, "orig", error)
