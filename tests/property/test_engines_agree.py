"""P-04: the same calls get the same answers on SQLite and on PostgreSQL, whatever they are and in whatever order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from tests.mailbox import Mailbox
from tests.postgres import migrated_database
from tests.property.doors import Recording
from tests.property.exploring import Bridge, explore
from tests.property.playing import Done, Playing, moves, new_serial
from tests.property.plays import Move
from tests.running import Running, running

from identity.domain.service_access import create_service_key


@pytest_asyncio.fixture(scope="module")
async def engines(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> AsyncIterator[list[Running]]:
    """The same service on both, with clocks that are moved alike and nobody who sends mails."""
    place: Path = tmp_path_factory.mktemp("engines")
    async with AsyncExitStack() as stack:
        urls = [f"sqlite:///{place}/identity.db", stack.enter_context(migrated_database())]
        services = [await stack.enter_async_context(running(place, mailbox, database_url=url)) for url in urls]
        for service in services:
            service.service.dispatcher.stop()
        yield services


def told(done: Done, recording: Recording) -> tuple[object, ...]:
    """What came of a call, as it has to be everywhere."""
    letters = [(letter.kind, letter.recipient, sorted(letter.values)) for letter in done.letters]
    return done.rpc, recording.note(done.answer), letters


async def test_P_04_both_engines_answer_alike(engines: list[Running]) -> None:
    """Answers, refusals, their fields, the order of lists, pages and mails are the same, call after call."""
    bridge = Bridge()
    keys = [create_service_key(service.world, "anything", ["token:introspect", "reset:issue"]) for service in engines]
    for service in engines:
        service.tend()

    @given(moves(at_most=22))
    def agree(script: list[Move]) -> None:
        serial = new_serial()
        plays = [Playing(service, serial, service_key=key) for service, key in zip(engines, keys, strict=True)]
        recordings = [Recording(service.clock.now, serial) for service in engines]
        for play in plays:
            bridge.call(play.begin)
        for move in script:
            done = [bridge.call(play.move, move) for play in plays]
            one, other = [each and told(each, recording) for each, recording in zip(done, recordings, strict=True)]
            assert one == other

    await explore(agree, examples=5)
