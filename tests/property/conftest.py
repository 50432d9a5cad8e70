"""What properties of sessions are tried on."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.conftest import FreshDatabase
from tests.mailbox import Mailbox
from tests.property.session_stage import Stage


@pytest_asyncio.fixture(scope="session")
async def stage(
    fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Stage]:
    """One process on SQLite, two on PostgreSQL; whoever enters begins by setting everybody back."""
    with fresh_database() as url:
        stage = Stage(mailbox, tmp_path_factory.mktemp("stage"), url)
        await stage.open(processes=2 if stage.engine == "postgresql" else 1)
        yield stage
        await stage.close()
