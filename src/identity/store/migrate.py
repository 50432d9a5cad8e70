"""The schema, brought up to date by numbered steps that live in `migrations/versions`.

A step adds what the release before it can live with, and removes only what that release does not use
any more, so that both run on one database while replicas are replaced (F-23).

Alembic takes the steps, and is slow to import. Every start asks whether there is one to take, and hardly ever there is
one: that is answered without Alembic, by the names of the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from identity.store.database import dialect_of
from identity.store.failures import StoreError, Verdict, judge, outward
from identity.store.sqlite import create_sqlite_engine, file_of, open_connection

if TYPE_CHECKING:
    from alembic.config import Config

SCRIPTS = Path(__file__).parent / "migrations"
# A step may wait for another process, or work through a large table.
_STEP_SECONDS = 24 * 3600
# A step that waits for a busy table makes everybody queue behind it: better to give up and be run again.
POSTGRES_SETTINGS = {"statement_timeout": 0, "lock_timeout": 10_000}
# How long a process waits for the one that is migrating the same file.
_SQLITE_BUSY_SECONDS = 60
# Of the advisory lock that lets one process migrate at a time; nothing else takes any.
_LOCK_KEY = 0x1DE47174


def pending(url: str) -> list[str]:
    """The steps that the database lacks, oldest first; none if a later release has migrated it already.

    Raises ServiceUnavailable if the database is out of reach, ValueError for a URL of no database.
    """
    if dialect_of(url) == "sqlite" and not file_of(url).exists():
        return _steps()
    with _connection(url) as connection:
        return _missing(connection)


def upgrade(url: str) -> list[str]:
    """Bring the schema up to date and return the steps taken; safe in several processes at once.

    All steps happen in one transaction, or none.
    """
    while True:
        missing = pending(url)
        try:
            with _connection(url) as connection:
                return _upgrade(connection)
        except StoreError:
            # CockroachDB's advisory locks lock nothing: there, another process may have been quicker.
            if pending(url) == missing:
                raise


def draft(url: str, message: str, number: str) -> None:
    """Write the step from the database at `url`, which is up to date, to today's tables; to be mended by hand."""
    from alembic import command

    with _connection(url) as connection:
        command.revision(_config(connection), message, autogenerate=True, rev_id=number)


def _upgrade(connection: Connection) -> list[str]:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK_KEY})"))
        connection.execute(text(f"SET LOCAL lock_timeout = {POSTGRES_SETTINGS['lock_timeout']}"))
    missing = _missing(connection)
    if missing:
        from alembic import command

        command.upgrade(_config(connection), "head")
    if connection.dialect.name == "sqlite" and connection.execute(text("PRAGMA foreign_key_check")).first():
        raise StoreError("a migration would leave rows that refer to nothing")
    return missing


def _steps() -> list[str]:
    """The numbers of all steps, oldest first."""
    return sorted(file.name.partition("_")[0] for file in (SCRIPTS / "versions").glob("[0-9]*_*.py"))


def _missing(connection: Connection) -> list[str]:
    steps = _steps()
    if not inspect(connection).has_table("alembic_version"):
        return steps
    reached = connection.scalar(text("SELECT version_num FROM alembic_version")) or ""
    return [step for step in steps if step > reached]


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    # Percent signs are Alembic's, not the path's.
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    """A connection inside a transaction, which is committed at the end."""
    try:
        connection = _open_sqlite(url) if dialect_of(url) == "sqlite" else _open_postgres(url)
        try:
            with connection.begin():
                yield connection
        finally:
            connection.close()
    except Exception as error:
        verdict = judge(error)
        if verdict is Verdict.NOT_OURS:
            raise
        failure = outward(error, verdict)
        raise failure from failure.__cause__


def _open_sqlite(url: str) -> Connection:
    connection, driver = open_connection(create_sqlite_engine(file_of(url), busy_seconds=_SQLITE_BUSY_SECONDS))
    # SQLite alters a table by making it anew, which must not take along the rows that refer to it.
    driver.execute("PRAGMA foreign_keys = OFF")
    driver.execute("BEGIN IMMEDIATE")
    return connection


def _open_postgres(url: str) -> Connection:
    # Imported here, so that an embedded database loads nothing of PostgreSQL.
    from identity.store import postgres_engine

    connection, driver = postgres_engine.open_connection(
        postgres_engine.create_postgres_engine(url, settings=POSTGRES_SETTINGS)
    )
    driver.deadline = monotonic() + _STEP_SECONDS
    return connection
