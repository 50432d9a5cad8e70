"""P-06: what happens in one tenant is nothing to another, even to one whose ids are known there (AZ-02, N-20).

The same calls are made in a tenant alone and beside the calls of another one: its people are told the same. And what
they do, also with the ids of the other, changes not a single row there.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest_asyncio
from hypothesis import given
from sqlalchemy import select
from tests.conftest import Launch
from tests.property.doors import Recording
from tests.property.exploring import Bridge, explore
from tests.property.playing import MOVES, TIME, Done, Playing, moves, new_serial
from tests.property.plays import RPCS, UNKNOWN, WANTED, Draws, Move
from tests.running import Running

from identity.domain.service_access import create_service_key
from identity.store.tables import accounts, audit_events, metadata

# What there is once for everybody.
SHARED = {"AuthService.Setup", "AuthService.GetSetupStatus", "SessionService.GetJwks"}
HERE = [name for name in MOVES if name not in SHARED]
THERE = [name for name in HERE if name != TIME]
IDS = ("account", "session", "tenant", "slug", "invite id", "factor", "push device", "role")


BY_ID = [
    (rpc, field, WANTED[f"{method.input_type.name}.{field}"])
    for rpc, method in RPCS.items()
    for field in ("id", "account_id")
    if WANTED.get(f"{method.input_type.name}.{field}") in IDS
]
SILENT = {"SessionService.RemovePushDevice"}


@pytest_asyncio.fixture
async def quiet(launch: Launch) -> Running:
    """A service that sends nothing by itself."""
    service = await launch()
    service.service.dispatcher.stop()
    return service


async def test_P_06_AZ_02_tenants_are_nothing_to_each_other(quiet: Running) -> None:
    """Alone or beside busy neighbours: the same answers and mails here, and no trace of it there."""
    bridge = Bridge()
    key = create_service_key(quiet.world, "anything", ["token:introspect", "reset:issue"])
    quiet.tend()

    def neighbours() -> tuple[Playing, Playing]:
        """Two companies, of which the first knows everything by its id that the second has."""
        here, there = (Playing(quiet, new_serial(), service_key=key) for _ in range(2))
        for play in (here, there):
            bridge.call(play.begin)
        for kind in IDS:
            here.mind.known[kind][:0] = there.mind.known[kind]
        return here, there

    def run(script: list[Move], beside: list[Move]) -> list[object]:
        """What the people of the first company are told, call after call."""
        here, there = neighbours()
        foreign = {kind: there.mind.known[kind][-1] for kind in IDS if there.mind.known[kind]}
        recording, before = Recording(quiet.clock.now, here.serial), rows_of(quiet, there.serial)
        told: list[object] = []
        for number, move in enumerate(script):
            for other in beside[2 * number : 2 * number + 2]:
                bridge.call(there.move, other, seconds=0)
            done = bridge.call(here.move, move)
            told.append(done and heard(done, recording))
        bridge.call(here.wait, timedelta(hours=1))
        for rpc, field, kind in BY_ID:
            done = bridge.call(ask_for, here, rpc, field, foreign.get(kind, UNKNOWN))
            assert not done.answer.ok or rpc in SILENT, f"{rpc} reaches over to the neighbours"
            told.append(heard(done, recording))
        assert beside or rows_of(quiet, there.serial) == before, "a row of the neighbours is another"
        return told

    @given(moves(HERE, at_most=10), moves(THERE, at_most=20))
    def apart(script: list[Move], beside: list[Move]) -> None:
        for alone, together in zip(run(script, []), run(script, beside), strict=True):
            assert alone == together

    await explore(apart, examples=2, salt=quiet.world.database.dialect)


async def ask_for(play: Playing, rpc: str, field: str, id: str) -> Done:
    """An owner's call that names something by its id."""
    owner = f"owner-{play.serial}@example.org"
    bearer = next(token for token, email in reversed(play.mind.bearers.items()) if email == owner)
    request: Any = play.play.request(rpc, bearer, Draws(b"\1" * 64))
    setattr(request, field, id)
    return await play.call(rpc, request, bearer)


def heard(done: Done, recording: Recording) -> tuple[object, ...]:
    """What came of a call, and of which mails."""
    return done.rpc, recording.note(done.answer), [(letter.kind, sorted(letter.values)) for letter in done.letters]


def rows_of(service: Running, serial: str) -> dict[str, list[str]]:
    """Everything in the database that is of the people of a play, or of their tenants."""
    whose = select(accounts.c.id).where(accounts.c.email.like(f"%-{serial}@%"))
    ids = {row.id for row in service.rows(whose)}
    memberships = metadata.tables["memberships"]
    places = {row.tenant_id for row in service.rows(select(memberships).where(memberships.c.account_id.in_(ids)))}

    def theirs(row: Any) -> bool:
        values = row._asdict()
        return values.get("account_id", values.get("id")) in ids or values.get("tenant_id", values.get("id")) in places

    tables = [table for table in metadata.sorted_tables if table is not audit_events]
    found = {table.name: sorted(map(repr, filter(theirs, service.rows(select(table))))) for table in tables}
    return {name: rows for name, rows in found.items() if rows}
