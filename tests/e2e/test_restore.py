"""F-23: a database that went back in time believes nobody, and an operator ends what it cannot know."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update
from tests.cli.command import call
from tests.clock import ManualClock
from tests.conftest import Launch
from tests.running import SECRET, refused

from identity.domain.authentication import learn_revocations
from identity.store.tables import audit_events, sessions


async def test_F_23_a_token_ahead_of_the_database_is_refused_and_noted(launch: Launch) -> None:
    service = await launch()
    signed_in = await service.signed_in(remember=True)
    refreshed = await service.refresh(signed_in.tokens.refresh_token)

    service.execute(update(sessions).values(counter=sessions.c.counter - 1))

    assert (await refused(service.refresh(refreshed.tokens.refresh_token))).reason == "SERVICE_UNAVAILABLE"
    assert service.events("refresh_token_ahead") == 1


async def test_F_23_an_operator_ends_every_session(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    service = await launch(clock=ManualClock(datetime.now(UTC)))  # the command goes by the wall's
    people = [await service.signed_in(remember=True) for _ in range(3)]
    monkeypatch.setenv("IDENTITY_DATABASE_URL", service.database_url)
    monkeypatch.setenv("IDENTITY_SECRET", SECRET)

    assert call("end-sessions").exit_code != 0
    done = call("end-sessions", "--yes")

    assert (done.exit_code, "Ended: 3." in done.output) == (0, True), done.output
    learn_revocations(service.world)
    for person in people:
        assert (await refused(service.get_session(person.tokens.access_token))).reason == "SESSION_REVOKED"
        assert (await refused(service.refresh(person.tokens.refresh_token))).reason == "SESSION_REVOKED"
    noted = service.rows(select(audit_events.c.account_id).where(audit_events.c.event == "session_revoked"))
    assert {str(account) for (account,) in noted} == {person.account.id for person in people}
