"""Every store test runs on both engines: `-k sqlite` and `-k postgresql` choose one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.postgres import empty_database, migrated_database
from tests.store.counters import CounterUnit, counter_table

from identity.store import migrate
from identity.store.database import Database, open_database
from identity.store.transaction import Transaction


@pytest.fixture(params=["sqlite", "postgresql"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "identity.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def empty_url(dialect: str, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    if dialect == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
    else:
        with empty_database() as url:
            yield url


@pytest.fixture
def database_url(dialect: str, tmp_path: Path, migrated_file: Path) -> Iterator[str]:
    """The URL of a database with all tables and no rows."""
    if dialect == "sqlite":
        yield f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'identity.db')}"
    else:
        with migrated_database() as url:
            yield url


@pytest.fixture
def database(database_url: str) -> Iterator[Database[Transaction]]:
    database = open_database(database_url, Transaction)
    yield database
    database.close()


@pytest.fixture
def counter_url(database_url: str) -> Iterator[str]:
    """The URL of a database with a table of counters, for tests of the engines alone."""
    with counter_table(database_url):
        yield database_url


@pytest.fixture
def counters(counter_url: str) -> Iterator[Database[CounterUnit]]:
    database = open_database(counter_url, CounterUnit)
    yield database
    database.close()
