"""One running service per engine for the whole run; tests use people of their own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from psycopg.conninfo import conninfo_to_dict
from tests.mail.sink import running as running_sink
from tests.mailbox import Mailbox
from tests.postgres import shared_cluster
from tests.running import Running, running

from identity.store import migrate

FreshDatabase = Callable[[], str]
Launch = Callable[..., Awaitable[Running]]


@pytest.fixture(scope="session")
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    with running_sink(mailbox):
        yield mailbox


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def fresh_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FreshDatabase:
    """Makes databases on the engine of this round: with today's tables, and empty."""
    if request.param == "sqlite":
        return _sqlite(tmp_path_factory.mktemp("databases"))
    return _postgres()


@pytest_asyncio.fixture(scope="session")
async def service(
    fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Running]:
    """A service with every default, on each engine."""
    data_dir = tmp_path_factory.mktemp("service")
    async with running(data_dir, mailbox, database_url=fresh_database()) as service:
        yield service


@pytest_asyncio.fixture
async def launch(fresh_database: FreshDatabase, tmp_path: Path, mailbox: Mailbox) -> AsyncIterator[Launch]:
    """Starts services for one test, each on a database of its own unless told which; takes what `running` takes."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Running:
            options.setdefault("database_url", fresh_database())
            return await stack.enter_async_context(running(tmp_path, mailbox, **options))

        yield start


def _sqlite(directory: Path) -> FreshDatabase:
    template, numbers = directory / "template.db", count(1)
    migrate.upgrade(f"sqlite:///{template}")

    def fresh() -> str:
        return f"sqlite:///{shutil.copy(template, directory / f'{next(numbers)}.db')}"

    return fresh


def _postgres() -> FreshDatabase:
    cluster = shared_cluster()
    template = cluster.create()
    migrate.upgrade(template)
    name = str(conninfo_to_dict(template)["dbname"])
    return lambda: cluster.create(name)
