"""A bounded pool of SQLAlchemy connections that stay open, with the driver's connection at hand.

SQLAlchemy's own pool makes a new `Connection` facade each time, which costs more than a read of one row
from SQLite; here the facade is kept. Transactions are begun and ended on the driver's connection:
SQLAlchemy compiles, executes and reads rows, no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Generic, TypeVar

from sqlalchemy import Connection

from identity.domain.errors import ServiceUnavailable

D = TypeVar("D")


@dataclass(slots=True)
class Lease(Generic[D]):
    """A connection in use; `driver` is the connection of sqlite3 or psycopg underneath."""

    connection: Connection
    driver: D
    epoch: int = 0

    def close(self) -> None:
        """Close it for good, with whatever was open on it."""
        # Invalidated first: closing alone would send a ROLLBACK to a server that may never answer it.
        with suppress(Exception):
            self.connection.invalidate()
        with suppress(Exception):
            self.connection.close()


class Pool(Generic[D]):
    """At most `size` connections, the one used last first. Thread-safe."""

    def __init__(self, connect: Callable[[], tuple[Connection, D]], size: int) -> None:
        self._connect = connect
        self._idle: deque[Lease[D]] = deque()
        self.size = size
        # The permits bound the connections that exist; a C queue is the cheapest semaphore with a timeout.
        self._permits: SimpleQueue[None] = SimpleQueue()
        for _ in range(size):
            self._permits.put(None)
        self._epoch = 0
        self._closed = False

    @property
    def in_use(self) -> int:
        """Counts the leases that are out."""
        return self.size - self._permits.qsize()

    def acquire(self, deadline: float, before_connect: Callable[[], None] | None = None) -> Lease[D]:
        """Raises ServiceUnavailable when no connection is free by `deadline` (monotonic)."""
        try:
            self._permits.get(timeout=max(0.0, deadline - monotonic()))
        except Empty:
            raise ServiceUnavailable from None
        try:
            if self._closed:
                raise ServiceUnavailable
            while self._idle:
                lease = self._idle.pop()
                if lease.epoch == self._epoch:
                    return lease
                lease.close()
            if before_connect is not None:
                before_connect()
            epoch = self._epoch
            return Lease(*self._connect(), epoch)
        except BaseException:
            self._permits.put(None)
            raise

    def release(self, lease: Lease[D]) -> None:
        """Take back a connection that is fit for the next unit."""
        if lease.epoch == self._epoch:
            self._idle.append(lease)
        else:
            lease.close()
        self._permits.put(None)

    def discard(self, lease: Lease[D]) -> None:
        """Take back a connection that is not fit, and close it."""
        lease.close()
        self._permits.put(None)

    def forget(self, lease: Lease[D]) -> None:
        """Discard a connection that lost its server, and never hand out one of the same age again (F-11)."""
        if lease.epoch == self._epoch:
            self._epoch += 1
        self.discard(lease)

    def close(self) -> None:
        """Refuse new leases and close what is idle; what is in use is closed on its return."""
        self._closed = True
        self._epoch += 1
        while self._idle:
            self._idle.pop().close()
