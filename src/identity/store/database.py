"""`Database`: units of work that happen as a whole or not at all, on either engine."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import Generic, NamedTuple, Protocol, TypeVar

import structlog
from sqlalchemy import Connection

Action = Callable[[], None]


class Unit(Protocol):
    """What the engines ask of the object they hand to a unit of work: its list of after-commit actions."""

    @property
    def actions(self) -> list[Action]: ...


T = TypeVar("T", bound=Unit)
R = TypeVar("R")


class Usage(NamedTuple):
    """What is going on: connections at work and how many there may be, by pool, and units handed to the writers."""

    in_use: Mapping[str, int]
    limit: Mapping[str, int]
    queued: int


class Database(ABC, Generic[T]):
    """The whole interface of the store.

    `fn` gets a transaction made by the factory the database was opened with, and returns values. It
    may be run again after a conflict or beside a failed neighbour, so it touches nothing but its
    transaction. What it raises rolls its writes back and comes out unchanged, unless the exception has
    `commits = True`: then the writes are kept and the exception still comes out. Units do not nest.

    Raises ServiceUnavailable when the database is out of reach, Overloaded when too much is waiting for
    it, and StoreError for a statement that is wrong.
    """

    def __init__(self, transaction: Callable[[Connection], T]) -> None:
        self._transaction = transaction
        self._running = threading.local()

    @property
    @abstractmethod
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""

    @property
    def is_away(self) -> bool:
        """Whether it is known to be out of reach, so that whoever comes now would only wait for that answer."""
        return False

    @abstractmethod
    def read(self, fn: Callable[[T], R], /) -> R:
        """Run a unit that writes nothing. Each of its statements sees what is committed when it starts."""

    @abstractmethod
    def write(self, fn: Callable[[T], R], /) -> R:
        """Run a unit and return its result once it is committed."""

    @abstractmethod
    def submit_write(self, fn: Callable[[T], R], /) -> Future[R]:
        """`write` without waiting: the future has the result once the unit is committed."""

    @abstractmethod
    def usage(self) -> Usage:
        """How busy it is now, without asking it anything."""

    @abstractmethod
    def ping(self) -> None:
        """Raise ServiceUnavailable unless the database answers a query now."""

    @abstractmethod
    def close(self) -> None:
        """Finish what was accepted, refuse what comes, and give the connections back."""

    def _refuse_nesting(self) -> None:
        # A unit inside a unit would wait for itself: for the one writer, or for a connection that the
        # outer unit holds while it waits.
        if getattr(self._running, "unit", False):
            raise RuntimeError("units of work do not nest: use the transaction you were given")


def commits(error: BaseException) -> bool:
    """Whether the writes of a unit are kept although it raised."""
    return getattr(error, "commits", False) is True


def run_actions(actions: Iterable[Action]) -> None:
    """Run what waited for the commit; it has happened, so a failing action can only be logged."""
    for action in actions:
        try:
            action()
        except BaseException:
            # Whatever it is: it must not end the thread that all writers depend on.
            structlog.get_logger("identity.store").exception("an action after a commit failed")


def refuse_actions(unit: Unit) -> None:
    """Nothing is committed by a read, so whatever waits for its commit would wait for ever."""
    if unit.actions:
        raise RuntimeError("a read has no commit to wait for: use write")


def dialect_of(url: str) -> str:
    """The engine that a database URL asks for. Raises ValueError if it is none of ours."""
    scheme = url.partition(":")[0].partition("+")[0]
    if scheme == "sqlite":
        return "sqlite"
    if scheme in ("postgresql", "postgres"):
        return "postgresql"
    raise ValueError("the database URL starts with neither sqlite:// nor postgresql://")


def open_database(url: str, transaction: Callable[[Connection], T], connections: int = 16) -> Database[T]:
    """Open the database of a `sqlite:///file` or `postgresql://…` URL, the latter with so many connections at most.

    Connects on first use, so a service can start while its database is away. Raises ValueError for a
    URL of anything else.
    """
    # Imported here, so that an embedded database loads nothing of PostgreSQL.
    if dialect_of(url) == "sqlite":
        from identity.store.sqlite import SqliteDatabase

        return SqliteDatabase(url, transaction)
    from identity.store.postgres import PostgresDatabase

    return PostgresDatabase(url, transaction, readers=connections // 2, writers=connections - connections // 2)
