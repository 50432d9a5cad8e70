"""One running service per engine for the whole run; tests use people of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from tests.mail.sink import running as running_sink
from tests.mailbox import Mailbox
from tests.running import Running, running


@pytest.fixture(scope="session")
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    with running_sink(mailbox):
        yield mailbox


@pytest_asyncio.fixture(scope="session", params=["sqlite"])
async def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Running]:
    async with running(tmp_path_factory.mktemp("service"), mailbox) as service:
        yield service
