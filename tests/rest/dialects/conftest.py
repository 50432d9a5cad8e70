"""A service for each product on each engine, and a front end that speaks its dialect."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.clock import ManualClock
from tests.conftest import FreshDatabase
from tests.mailbox import Mailbox
from tests.rest.dialects.conforming import conforming
from tests.rest.dialects.salon_people import Opened, open_salon
from tests.rest.web import Web, browsing
from tests.running import running

from identity.rest.dialect import load_dialect
from identity.rest.listener import Listener
from identity.settings import load_rest_settings

LISTED = "https://dashboard.example.org"
"""An origin whose pages may call."""


@asynccontextmanager
async def speaking(
    product: str, fresh_database: FreshDatabase, data_dir: Path, mailbox: Mailbox, **settings: Any
) -> AsyncIterator[Web]:
    """A front end of a product whose every answer has to fit the dialect."""
    hooks = {"response": [conforming(load_dialect(product))]}
    with fresh_database() as url:
        async with (
            running(
                data_dir, mailbox, database_url=url, preset=product, rest_address="127.0.0.1:0", **settings
            ) as service,
            browsing(service, event_hooks=hooks) as web,
        ):
            yield web


@asynccontextmanager
async def behind_tls(web: Web, product: str, **settings: Any) -> AsyncIterator[Web]:
    """A container by itself, before the same service, whose front ends are elsewhere and come through a proxy."""
    defaults = {
        "dialect": product,
        "upstream": web.service.service.address,
        "rest_address": "127.0.0.1:0",
        "rest_trusted_proxies": "127.0.0.1",
        "public_url": "https://id.example.org",
    }
    container = Listener(load_rest_settings(**{**defaults, **settings}))
    await container.start()
    try:
        async with web.another() as browser:
            browser.client.base_url = httpx.URL(f"http://{container.address}")
            browser.client.headers["x-forwarded-for"] = "198.51.100.7"
            yield browser
    finally:
        await container.stop()


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


@pytest_asyncio.fixture(scope="session")
async def merchant(
    fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Web]:
    """The merchants' service. Its clock begins now: cookies live in browsers, which know the real time."""
    directory, clock = tmp_path_factory.mktemp("merchant"), ManualClock(datetime.now(UTC))
    async with speaking("merchant", fresh_database, directory, mailbox, clock=clock, cors_origins=LISTED) as web:
        yield web


@pytest_asyncio.fixture(scope="session")
async def organization(
    fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Web]:
    """The organizations' service, likewise."""
    directory, clock = tmp_path_factory.mktemp("organization"), ManualClock(datetime.now(UTC))
    async with speaking("organization", fresh_database, directory, mailbox, clock=clock, cors_origins=LISTED) as web:
        yield web


@pytest_asyncio.fixture(scope="session")
async def tenant(
    fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Web]:
    """The companies' web app."""
    async with speaking("tenant", fresh_database, tmp_path_factory.mktemp("tenant"), mailbox) as web:
        yield web
