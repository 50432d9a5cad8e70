"""The one thread that writes to SQLite: group commit, one fsync for everything that was waiting.

Each group is one `BEGIN IMMEDIATE … COMMIT`, each unit in it a savepoint, and nobody is answered before
the COMMIT that contains his unit (F-02). A unit that fails takes nothing of its neighbours with it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import Any, Generic

from sqlalchemy import Connection

from identity.domain.errors import Overloaded, ServiceUnavailable
from identity.store.database import Action, R, T, commits, run_actions
from identity.store.failures import judge, outward
from identity.store.pool import Lease

# Units in one transaction: enough to share the cost of the fsync, few enough to let other processes in.
GROUP_LIMIT = 64
# Units waiting for their turn; beyond, callers are told at once instead of after their deadline.
QUEUE_LIMIT = 1024
# How long another process may keep the file before everything that waits for it is given up.
BUSY_SECONDS = 2.0
# SQLite itself polls a lock ever more seldom; beside a busy process that ends in never getting it.
_BUSY_POLL_SECONDS = 0.0005


@dataclass(slots=True)
class _Work(Generic[T]):
    fn: Callable[[T], Any]
    future: Future[Any] = field(default_factory=Future)
    result: Any = None
    error: BaseException | None = None
    actions: Sequence[Action] = ()


class Writer(Generic[T]):
    """Runs units in the order they came, as many per transaction as are waiting."""

    def __init__(
        self,
        connect: Callable[[], tuple[Connection, sqlite3.Connection]],
        transaction: Callable[[Connection], T],
        running: threading.local,
        queue_limit: int,
    ) -> None:
        self._connect = connect
        self._transaction = transaction
        self._running = running
        self._queue_limit = queue_limit
        self._queue: SimpleQueue[_Work[T] | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._lease: Lease[sqlite3.Connection] | None = None
        # A daemon, because an interpreter that exits must not wait for it: what was acknowledged is on disk.
        self._thread = threading.Thread(target=self._run, name="identity-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Counts the units that no group has taken yet."""
        return self._queue.qsize()

    def submit(self, fn: Callable[[T], R]) -> Future[R]:
        """Raises Overloaded if too many units wait, ServiceUnavailable after `close`."""
        work = _Work(fn)
        with self._gate:
            if self._closed:
                raise ServiceUnavailable
            if self._queue.qsize() >= self._queue_limit:
                raise Overloaded(retry_after=1)
            self._queue.put(work)
        return work.future

    def close(self) -> None:
        """Commit what was accepted, then stop."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        self._running.unit = True  # whatever runs in this thread is part of a unit
        while (first := self._queue.get()) is not None:
            try:
                lease = self._begin()
            except Exception as error:
                # All have waited for the same lock; none of them waits for it a second time.
                self._fail([first, *self._waiting(self._queue_limit)], error)
                continue
            # Taken only now, so that whoever came while the lock was waited for shares the transaction.
            self._group(lease, [first, *self._waiting(GROUP_LIMIT - 1)])
        self._reset()

    def _waiting(self, limit: int) -> Iterable[_Work[T]]:
        for _ in range(limit):
            try:
                work = self._queue.get_nowait()
            except Empty:
                return
            if work is None:
                self._queue.put(None)
                return
            yield work

    def _begin(self) -> Lease[sqlite3.Connection]:
        give_up_at = monotonic() + BUSY_SECONDS
        while True:
            try:
                if self._lease is None:
                    self._lease = Lease(*self._connect())
                self._lease.driver.execute("BEGIN IMMEDIATE")
            except Exception as error:
                if not _is_busy(error) or monotonic() > give_up_at:
                    raise
                sleep(_BUSY_POLL_SECONDS)
            else:
                return self._lease

    def _group(self, lease: Lease[sqlite3.Connection], works: list[_Work[T]]) -> None:
        """Run units inside the transaction that has begun, commit it, and only then answer."""
        works = [work for work in works if work.future.running() or work.future.set_running_or_notify_cancel()]
        try:
            for work in works:
                self._unit(lease, work, alone=len(works) == 1)
            if lease.driver.in_transaction:
                lease.driver.execute("COMMIT")
        except _TransactionLostError as lost:
            self._reset()
            self._answer(lost.work)
            self._one_by_one(work for work in works if work is not lost.work)
        except sqlite3.IntegrityError as error:
            # A constraint that is checked at the end; alone, each unit finds out for itself if it was the one.
            self._reset()
            if len(works) == 1:
                self._fail(works, error)
            else:
                self._one_by_one(works)
        except Exception as error:
            self._reset()
            self._fail(works, error)
        else:
            for work in works:
                run_actions(work.actions)
                self._answer(work)

    def _unit(self, lease: Lease[sqlite3.Connection], work: _Work[T], *, alone: bool) -> None:
        """Leave in the transaction what the unit wrote if it is to be kept, and nothing otherwise."""
        execute = lease.driver.execute
        if not alone:
            execute("SAVEPOINT unit")
        keep = True
        work.result, work.error, work.actions = None, None, ()
        try:
            unit = self._transaction(lease.connection)
            work.actions = unit.actions
            work.result = work.fn(unit)
        except BaseException as error:
            keep = commits(error)
            work.error = outward(error, judge(error))
        if not lease.driver.in_transaction:
            # A full disk makes SQLite roll everything back, the neighbours included.
            work.error = work.error or ServiceUnavailable()
            raise _TransactionLostError(work)
        if not keep:
            work.actions = ()
            execute("ROLLBACK" if alone else "ROLLBACK TO unit")
        if not alone:
            execute("RELEASE unit")

    def _one_by_one(self, works: Iterable[_Work[T]]) -> None:
        for work in works:
            try:
                lease = self._begin()
            except Exception as error:
                self._fail([work], error)
            else:
                self._group(lease, [work])

    @staticmethod
    def _answer(work: _Work[T]) -> None:
        if work.error is None:
            work.future.set_result(work.result)
        else:
            work.future.set_exception(work.error)

    @staticmethod
    def _fail(works: Iterable[_Work[T]], error: Exception) -> None:
        verdict = judge(error)
        for work in works:
            if work.future.running() or work.future.set_running_or_notify_cancel():
                # One exception for each: several threads are going to raise them.
                work.future.set_exception(outward(error, verdict))

    def _reset(self) -> None:
        """Go on with a new connection; closing the old one rolls back whatever was open on it (F-14)."""
        if self._lease is not None:
            self._lease.close()
            self._lease = None


class _TransactionLostError(Exception):
    def __init__(self, work: _Work[Any]) -> None:
        super().__init__()
        self.work = work


def _is_busy(error: Exception) -> bool:
    driver = getattr(error, "orig", error)
    return (getattr(driver, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_BUSY
