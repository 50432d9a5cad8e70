"""Two nodes of one deployment, which share nothing but the database and, here, the time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from tests.clock import ManualClock
from tests.conftest import FreshDatabase
from tests.crash.post import Post
from tests.mail.sink import running as running_sink
from tests.mailbox import Mailbox
from tests.running import Running, running


@dataclass(frozen=True)
class Nodes:
    """What happens on `one` has to count on `two`."""

    one: Running
    two: Running


@pytest.fixture
def post() -> Iterator[Post]:
    post = Post()
    with running_sink(post):
        yield post


@pytest_asyncio.fixture(scope="session")
async def nodes(
    fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Nodes]:
    clock, data_dir = ManualClock(), tmp_path_factory.mktemp("nodes")
    with fresh_database() as url:
        async with (
            running(data_dir, mailbox, clock=clock, database_url=url) as one,
            running(data_dir, mailbox, clock=clock, database_url=url) as two,
        ):
            yield Nodes(one, two)
