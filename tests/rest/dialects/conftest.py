"""A service for each product on each engine, and a front end that speaks its dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from tests.conftest import FreshDatabase
from tests.mailbox import Mailbox
from tests.rest.dialects.conforming import conforming
from tests.rest.dialects.salon_people import Opened, open_salon
from tests.rest.web import Web, browsing
from tests.running import running

from identity.rest.dialect import load_dialect


@asynccontextmanager
async def speaking(product: str, fresh_database: FreshDatabase, data_dir: Path, mailbox: Mailbox) -> AsyncIterator[Web]:
    """A front end of a product whose every answer has to fit the dialect."""
    hooks = {"response": [conforming(load_dialect(product))]}
    with fresh_database() as url:
        async with (
            running(data_dir, mailbox, database_url=url, preset=product, rest_address="127.0.0.1:0") as service,
            browsing(service, event_hooks=hooks) as web,
        ):
            yield web


@pytest_asyncio.fixture(scope="session")
async def mobile(
    fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Web]:
    """The mobile app."""
    async with speaking("mobile", fresh_database, tmp_path_factory.mktemp("mobile"), mailbox) as web:
        yield web


@pytest_asyncio.fixture(scope="session")
async def salon(
    fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Web]:
    """The salon's web app, which nobody has set up yet."""
    async with speaking("salon", fresh_database, tmp_path_factory.mktemp("salon"), mailbox) as web:
        yield web


@pytest_asyncio.fixture(scope="session")
async def opened(salon: Web) -> Opened:
    """The salon after its wizard."""
    return await open_salon(salon)
