"""The smallest thing that can be read, written and raced for: named counters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, bindparam, select, update

from identity.store.database import Database, open_database

_metadata = MetaData()
table = Table(
    "counters",
    _metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Integer(), nullable=False),
)
_get = select(table.c.value).where(table.c.name == bindparam("counter"))
_bump = (
    update(table).where(table.c.name == bindparam("counter")).values(value=table.c.value + 1).returning(table.c.value)
)
_bump_from = _bump.where(table.c.value == bindparam("expected"))


class CounterUnit:
    """What the engines hand to a unit of work in their tests."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.actions: list[Callable[[], None]] = []

    def after_commit(self, action: Callable[[], None]) -> None:
        self.actions.append(action)

    def add(self, name: str, value: int = 0) -> None:
        self.connection.execute(table.insert(), {"name": name, "value": value})

    def get(self, name: str) -> int | None:
        value: int | None = self.connection.execute(_get, {"counter": name}).scalar()
        return value

    def bump(self, name: str) -> int:
        value: int = self.connection.execute(_bump, {"counter": name}).scalar_one()
        return value

    def bump_from(self, name: str, expected: int) -> bool:
        """Whether this was the one that took the counter a step on from `expected`."""
        values = {"counter": name, "expected": expected}
        return self.connection.execute(_bump_from, values).first() is not None


def value_of(database: Database[CounterUnit], name: str) -> int | None:
    return database.read(lambda tx: tx.get(name))


@contextmanager
def counter_table(url: str) -> Iterator[None]:
    """A table of counters in a database while the context lasts."""
    create_counters(url)
    try:
        yield
    finally:
        _do(url, _metadata.drop_all)


def create_counters(url: str) -> None:
    """A table of counters in a database that is thrown away afterwards."""
    _do(url, _metadata.create_all)


def _do(url: str, change: Callable[[Connection], None]) -> None:
    database = open_database(url, CounterUnit)
    database.write(lambda tx: change(tx.connection))
    database.close()
