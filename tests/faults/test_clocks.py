"""F-10: clocks that differ, and clocks that are set, shut nobody out and let nobody in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from tests.clock import ManualClock
from tests.company import Person, company, invited
from tests.conftest import Launch
from tests.faults.test_ends import refused_within_a_second
from tests.running import WRONG_PASSWORD, coming_from, new_email, outcomes, refused
from tests.second_factor import challenged, enrolled, verify

from identity.domain.housekeeping import sweep
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import invite_service_pb2 as invites

SECOND = timedelta(seconds=1)
NOON = datetime(2026, 3, 1, 12, 0, 0, 500_000, UTC)


@pytest.mark.parametrize(("fresh_database", "apart"), [("sqlite", -2), ("postgresql", 2)], indirect=["fresh_database"])
async def test_F_10_nodes_two_seconds_apart_work_as_one(launch: Launch, apart: float) -> None:
    """Whichever is ahead and made the first signing key: tokens, links, codes and ends of one count on the other."""
    one = await launch(clock=ManualClock(NOON))
    two = await launch(clock=ManualClock(NOON + apart * SECOND), database_url=one.database_url)
    person = await enrolled(one)
    for clock in (one.clock, two.clock):
        clock.advance(minutes=5)
    for here, there in ((one, two), (two, one)):
        for clock in (one.clock, two.clock):
            clock.advance(minutes=1)
        token = await challenged(here, person.email)
        signed_in = (await there.auth.VerifyOtp(verify(token, totp=person.code(here)))).session
        await here.get_session(signed_in.tokens.access_token)
        renewed = await here.refresh(signed_in.tokens.refresh_token)
        again = await there.refresh(signed_in.tokens.refresh_token)
        assert (again.reused, again.tokens.refresh_token) == (True, renewed.tokens.refresh_token)
        await here.get_session(again.tokens.access_token)
        await there.sign_out(renewed.tokens.access_token)
        await refused_within_a_second(here, Person(person.email, signed_in))
    owner = await company(one)
    _, link = await invited(two, owner)
    assert (await two.invites.ValidateInvite(invites.ValidateInviteRequest(token=link))).email


async def test_F_10_a_clock_set_back_opens_nothing_that_was_shut(launch: Launch) -> None:
    """Ten minutes back: no code counts again, no wait is over, no session lives longer, and what ended has ended."""
    node = await launch(clock=ManualClock(NOON))
    person, guessed = await enrolled(node), await node.verified()
    node.clock.advance(minutes=5)
    code = person.code(node)
    token = await challenged(node, person.email)
    signed_in = (await node.auth.VerifyOtp(verify(token, totp=code))).session
    ended = await node.signed_in()
    await node.sign_out(ended.tokens.access_token)
    for _ in range(5):
        await refused(node.login(guessed, WRONG_PASSWORD))

    node.clock.advance(minutes=-10)

    token = await challenged(node, person.email)
    for spent in (code, person.code(node)):
        assert (await refused(node.auth.VerifyOtp(verify(token, totp=spent)))).reason == "OTP_INVALID"
    assert (await refused(node.login(guessed))).reason == "INVALID_CREDENTIALS"
    renewed = await node.refresh(signed_in.tokens.refresh_token)
    session = await node.get_session(renewed.tokens.access_token)
    assert session.session.expires_at == signed_in.session.expires_at
    assert (await refused(node.refresh(ended.tokens.refresh_token))).reason == "SESSION_REVOKED"
    assert (await refused(node.get_session(ended.tokens.access_token))).code is grpc.StatusCode.UNAUTHENTICATED
    node.clock.advance(seconds=1)
    await node.login(guessed)  # the wait began anew with the right time, and was no longer than it ever is
    node.clock.advance(minutes=10)
    assert (await refused(node.get_session(ended.tokens.access_token))).reason == "SESSION_REVOKED"
    node.clock.advance(minutes=-1)
    assert (await refused(node.refresh(signed_in.tokens.refresh_token))).reason == "TOKEN_REUSED"  # no grace again


async def test_F_10_a_clock_that_was_a_day_ahead_locks_nobody_out(launch: Launch) -> None:
    """Failures and mails of that time hold nobody up for longer than they ever do; what ended stays ended."""
    node = await launch(clock=ManualClock(NOON))
    email, source = await node.verified(), coming_from("203.0.113.9")
    ended = await node.signed_in()
    await node.sign_out(ended.tokens.access_token)

    node.clock.advance(days=1)
    ahead = await node.signed_in()
    for _ in range(8):
        await refused(node.login(email, WRONG_PASSWORD))
    await outcomes(node.login(new_email(), WRONG_PASSWORD, metadata=source) for _ in range(100))
    assert (await refused(node.login(email, metadata=source))).reason == "RATE_LIMITED"
    await node.auth.RequestPasswordReset(auth.RequestPasswordResetRequest(identifier=email))
    await node.mails_sent()
    sweep(node.world)
    node.clock.advance(days=-1)

    assert (await refused(node.get_session(ended.tokens.access_token))).reason == "SESSION_REVOKED"
    await refused(node.login(email))
    await refused(node.login(email, metadata=source))
    node.clock.advance(minutes=16)
    await node.login(email)
    await node.login(email, metadata=source)
    assert (await node.refresh(ahead.tokens.refresh_token)).tokens
    for _ in range(2):
        await node.auth.RequestPasswordReset(auth.RequestPasswordResetRequest(identifier=email))
        await node.mails_sent()
        node.clock.advance(minutes=1)
    subjects = [mail["Subject"] for mail in node.mailbox.of(email)]
    assert subjects.count("Choose a new password") == 2


@pytest.fixture
def summer_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose local time has a gap of an hour on the last Sunday of March."""
    monkeypatch.setenv("TZ", "Europe/Amsterdam")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("summer_time")
async def test_F_10_the_local_time_of_the_machine_means_nothing(launch: Launch) -> None:
    """Over the change to summer time a token lives as long as ever, a code counts and a wait is as long as it was."""
    node = await launch(clock=ManualClock(datetime(2026, 3, 29, 0, 59, 30, tzinfo=UTC)))
    person, guessed = await enrolled(node), await node.verified()
    signed_in = await node.signed_in()
    for _ in range(5):
        await refused(node.login(guessed, WRONG_PASSWORD))
    node.clock.advance(minutes=1)
    await node.login(guessed)
    token = await challenged(node, person.email)
    await node.auth.VerifyOtp(verify(token, totp=person.code(node)))
    node.clock.advance(minutes=13, seconds=59)
    await node.get_session(signed_in.tokens.access_token)
    node.clock.advance(seconds=6)
    assert (await refused(node.get_session(signed_in.tokens.access_token))).reason == "TOKEN_EXPIRED"
