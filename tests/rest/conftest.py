"""A service whose HTTP container listens too."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.conftest import FreshDatabase
from tests.mailbox import Mailbox
from tests.rest.web import Web, browsing
from tests.running import running


@pytest_asyncio.fixture(scope="session")
async def web(
    fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Web]:
    """A browser before a service with every default, on each engine."""
    with fresh_database() as url:
        async with (
            running(tmp_path_factory.mktemp("web"), mailbox, database_url=url, rest_address="127.0.0.1:0") as service,
            browsing(service) as web,
        ):
            yield web
