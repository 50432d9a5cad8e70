"""`INSERT … ON CONFLICT`, which both engines have and SQLAlchemy spells once for each."""

from __future__ import annotations

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert(connection: Connection, table: Table) -> postgresql.Insert:
    """The dialect's own insert; both have the same `on_conflict_…` methods."""
    return insert_on(connection.dialect.name, table)


def insert_on(dialect: str, table: Table) -> postgresql.Insert:
    """The same for a statement that is made once for each dialect, and kept."""
    if dialect == "sqlite":
        return sqlite.insert(table)  # type: ignore[return-value]
    return postgresql.insert(table)


def insert_or_ignore(connection: Connection, table: Table) -> postgresql.Insert:
    """An insert that gives no row where a unique constraint refuses it: the index decides, not a look before."""
    return insert(connection, table).on_conflict_do_nothing()
