"""One running service per engine for the whole run; tests use people of their own."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog
from tests.mail.sink import running as running_sink
from tests.mailbox import Mailbox
from tests.postgres import migrated_database
from tests.running import Running, running

from identity.store import migrate

# What goes well is no news in a test.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))

FreshDatabase = Callable[[], AbstractContextManager[str]]
Launch = Callable[..., Awaitable[Running]]


@pytest.fixture(scope="session")
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    with running_sink(mailbox):
        yield mailbox


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def fresh_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FreshDatabase:
    """Lends databases on the engine of this round, with all tables and no rows, by their URL."""
    if request.param == "sqlite":
        return _sqlite(tmp_path_factory.mktemp("databases"))
    return migrated_database


@pytest_asyncio.fixture(scope="session")
async def service(
    fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Running]:
    """A service with every default, on each engine."""
    data_dir = tmp_path_factory.mktemp("service")
    with fresh_database() as url:
        async with running(data_dir, mailbox, database_url=url) as service:
            yield service


@pytest_asyncio.fixture
async def launch(fresh_database: FreshDatabase, tmp_path: Path, mailbox: Mailbox) -> AsyncIterator[Launch]:
    """Starts services for one test, each on a database of its own unless told which; takes what `running` takes."""
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Running:
            if "database_url" not in options:
                options["database_url"] = stack.enter_context(fresh_database())
            return await stack.enter_async_context(running(tmp_path, mailbox, **options))

        yield start


def _sqlite(directory: Path) -> FreshDatabase:
    template, numbers = directory / "template.db", count(1)
    migrate.upgrade(f"sqlite:///{template}")

    @contextmanager
    def fresh() -> Iterator[str]:
        yield f"sqlite:///{shutil.copy(template, directory / f'{next(numbers)}.db')}"

    return fresh
