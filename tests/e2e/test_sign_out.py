"""SignOut, and how fast the end of a session is the end of its tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from tests.conftest import Launch
from tests.running import (
    OTHER_PASSWORD,
    PASSWORD,
    WRONG_PASSWORD,
    Running,
    bearer,
    refused,
)
from tests.stopwatch import Stopwatch

from identity_pb.v1 import session_service_pb2 as pb
from identity_pb.v1.resources_pb2 import SessionTokens

End = Callable[[Running, str, SessionTokens], Awaitable[object]]


async def by_sign_out(service: Running, email: str, tokens: SessionTokens) -> None:
    await service.sign_out(tokens.access_token)


async def by_reset(service: Running, email: str, tokens: SessionTokens) -> None:
    await service.reset(await service.reset_token(email))


async def by_change(service: Running, email: str, tokens: SessionTokens) -> None:
    elsewhere = await service.login(email)
    await service.change_password(elsewhere.tokens.access_token, PASSWORD, OTHER_PASSWORD)


ENDS = pytest.mark.parametrize("end", [by_sign_out, by_reset, by_change])


async def sign_out(service: Running, refresh_token: str) -> None:
    await service.sessions.SignOut(pb.SignOutRequest(refresh_token=refresh_token))


async def use(service: Running, access_token: str) -> bool:
    """A call that looks at nothing but the token before it goes on; whether the token let it in."""
    refusal = await refused(service.change_password(access_token, WRONG_PASSWORD, OTHER_PASSWORD))
    assert refusal.reason in ("INVALID_CREDENTIALS", "SESSION_REVOKED")
    return refusal.reason == "INVALID_CREDENTIALS"


async def refused_within_a_second(service: Running, access_token: str) -> bool:
    """Whether the token, used again and again, is refused in time."""
    with Stopwatch() as watch:
        while await use(service, access_token):
            if watch.seconds > 1:
                return False
    return True


async def is_over(service: Running, tokens: SessionTokens) -> bool:
    """Whether both tokens of a session are refused as those of a session that has ended."""
    access = await refused(service.get_session(tokens.access_token))
    refresh = await refused(service.refresh(tokens.refresh_token))
    return (access.reason, refresh.reason) == ("SESSION_REVOKED", "SESSION_REVOKED")


async def test_Z_17_signing_out_with_nothing_changes_nothing(service: Running) -> None:
    """Without a token, with a bad, an expired or a foreign one, the answer is the same and nobody is signed out."""
    tokens = (await service.signed_in()).tokens
    bad = tokens.refresh_token.swapcase()
    before = service.events("signed_out")
    await service.sessions.SignOut(pb.SignOutRequest())
    await sign_out(service, bad)
    await service.sign_out("no token at all")
    service.clock.advance(minutes=16)
    await service.sign_out(tokens.access_token)
    assert service.events("signed_out") == before
    await service.refresh(tokens.refresh_token)


async def test_Z_17_signing_out_twice_is_signing_out_once(service: Running) -> None:
    """The call is idempotent, with either token, and the journal tells of one end."""
    email = await service.verified()
    tokens = (await service.login(email)).tokens
    await service.sign_out(tokens.access_token)
    await service.sign_out(tokens.access_token)
    await sign_out(service, tokens.refresh_token)
    assert await is_over(service, tokens)
    assert service.events("signed_out", email) == 1


async def test_a_refresh_token_of_any_age_signs_out(service: Running) -> None:
    """Whoever holds a token that once opened the session can end it, which is no theft."""
    old = (await service.signed_in()).tokens.refresh_token
    newest = (await service.refresh(old)).tokens
    service.clock.advance(minutes=1)
    await sign_out(service, old)
    assert await is_over(service, newest)


async def test_signing_out_ends_the_sessions_of_both_tokens(service: Running) -> None:
    """A bearer and a refresh token of two sessions end both, and no third one of the account."""
    email = await service.verified()
    one, two, three = [(await service.login(email)).tokens for _ in range(3)]
    request = pb.SignOutRequest(refresh_token=two.refresh_token)
    await service.sessions.SignOut(request, metadata=bearer(one.access_token))
    assert await is_over(service, one) and await is_over(service, two)
    await service.get_session(three.access_token)


@ENDS
async def test_SE_04_ended_tokens_are_refused_at_once(service: Running, end: End) -> None:
    """When the call that ends a session has returned, this process takes none of its tokens any more."""
    email = await service.verified()
    tokens = (await service.login(email)).tokens
    await service.get_session(tokens.access_token)
    await end(service, email, tokens)
    assert await is_over(service, tokens)


async def test_SE_04_ended_tokens_are_refused_by_other_processes_within_a_second(launch: Launch) -> None:
    """Whatever ends a session, another process refuses its access token at most one second later."""
    one = await launch()
    two = await launch(database_url=one.database_url, clock=one.clock)
    for end in (by_sign_out, by_reset, by_change):
        email = await one.verified()
        tokens = (await one.login(email)).tokens
        assert await use(two, tokens.access_token)
        await end(one, email, tokens)
        assert await refused_within_a_second(two, tokens.access_token)
        assert (await refused(two.refresh(tokens.refresh_token))).reason == "SESSION_REVOKED"


async def test_SE_04_a_process_that_was_away_learns_what_it_missed(launch: Launch) -> None:
    """A process that could not look for a minute catches up with everything that ended meanwhile."""
    one = await launch()
    two = await launch(database_url=one.database_url, clock=one.clock)
    tokens = (await one.signed_in()).tokens
    assert await use(two, tokens.access_token)
    await one.sign_out(tokens.access_token)
    one.clock.advance(minutes=1)
    assert await refused_within_a_second(two, tokens.access_token)


@ENDS
async def test_SE_04_N_02_ended_tokens_are_refused_after_a_restart(launch: Launch, end: End) -> None:
    """A process that starts later knows, from its first call on, what ended before."""
    before = await launch()
    email = await before.verified()
    tokens = (await before.login(email)).tokens
    await end(before, email, tokens)
    before.clock.advance(minutes=10)
    after = await launch(database_url=before.database_url, clock=before.clock)
    assert await is_over(after, tokens)
