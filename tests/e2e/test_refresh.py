"""RefreshSession: one live token per session, theft noticed, and nobody logged out by a lost reply or a second tab."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from uuid import UUID, uuid4

import grpc
import pytest
from sqlalchemy import delete, func, select, update
from tests.conftest import Launch
from tests.running import Refusal, Running, new_email, outcomes, refused

from identity.crypto.refresh_tokens import RefreshTokens
from identity.store.tables import accounts, sessions, tenants
from identity_pb.v1 import session_service_pb2 as pb
from identity_pb.v1.resources_pb2 import Device, SessionResult

STRICT = {"lifetimes": {"refresh_grace": "PT0S"}}


async def ended(service: Running, token: str) -> str:
    """The reason for which a refresh token is refused."""
    return (await refused(service.refresh(token))).reason


def set_counter(service: Running, of: SessionResult, by: int) -> None:
    service.execute(
        update(sessions).where(sessions.c.id == UUID(of.session.id)).values(counter=sessions.c.counter + by)
    )


async def test_SE_01_what_is_no_token_of_ours_is_refused_alike(service: Running) -> None:
    """An unknown session, a foreign key and nonsense get the same bytes."""
    foreign = RefreshTokens(b"the key of another deployment")
    live = UUID((await service.signed_in()).session.id)
    tokens = [foreign.issue(live, 0), service.world.refresh_tokens.issue(uuid4(), 0), "nonsense", str(live), "é" * 76]
    refusals = [await refused(service.refresh(token)) for token in tokens]
    assert {refusal.reason for refusal in refusals} == {"TOKEN_INVALID"}
    assert len({refusal.on_the_wire for refusal in refusals}) == 1


async def test_P_12_every_corruption_of_a_token_is_refused(service: Running) -> None:
    """A flipped bit, a missing or added character and another spelling make the token worthless, and harm nobody."""
    token = (await service.signed_in()).tokens.refresh_token
    flipped = [token[:n] + ("A" if token[n] != "A" else "B") + token[n + 1 :] for n in range(len(token))]
    cut = [token[:n] for n in range(1, len(token))]
    spelled = [token + "=", token + "A", "A" + token, " " + token, token + "\n", token.swapcase(), token.lower()]
    refusals = [await refused(service.refresh(bad)) for bad in (*flipped, *cut, *spelled)]
    assert len({refusal.on_the_wire for refusal in refusals}) == 1
    assert refusals[0].reason == "TOKEN_INVALID"
    assert not (await service.refresh(token)).reused


async def test_SE_08_a_token_of_another_account_changes_nothing(service: Running) -> None:
    """Who says whose session it has to be, and is wrong, neither rotates it nor ends it with an old token."""
    mine = await service.signed_in()
    second = (await service.refresh(mine.tokens.refresh_token)).tokens.refresh_token
    service.clock.advance(seconds=11)
    for token in (mine.tokens.refresh_token, second):
        wrong = pb.RefreshSessionRequest(refresh_token=token, account_id=str(uuid4()))
        assert (await refused(service.sessions.RefreshSession(wrong))).reason == "TOKEN_INVALID"
    right = pb.RefreshSessionRequest(refresh_token=second, account_id=mine.account.id)
    assert not (await service.sessions.RefreshSession(right)).reused


async def test_SE_02_a_used_token_after_the_grace_ends_the_session(service: Running) -> None:
    """Ten seconds after its use an old token is theft: the family dies, its newest token too, and its owner is told."""
    email = await service.verified()
    first = (await service.login(email)).tokens.refresh_token
    second = (await service.refresh(first)).tokens
    service.clock.advance(seconds=10.1)
    refusal = await refused(service.refresh(first))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REUSED")
    assert await ended(service, second.refresh_token) == "SESSION_REVOKED"
    assert (await refused(service.get_session(second.access_token))).reason == "SESSION_REVOKED"
    assert service.events("refresh_token_reused", email) == 1
    assert "signed you out" in str((await service.mailbox.wait(email, 2))["Subject"])


@pytest.mark.parametrize(("seconds", "repeats"), [(9.999, True), (10.0, False)])
async def test_SE_02_the_grace_is_ten_seconds_exactly(service: Running, seconds: float, repeats: bool) -> None:
    """Inside the grace the parent gets the same successor again, at its end it ends the session."""
    first = (await service.signed_in()).tokens.refresh_token
    second = (await service.refresh(first)).tokens.refresh_token
    service.clock.advance(seconds=seconds)
    answers, refusals = await outcomes([service.refresh(first)])
    assert [(answer.reused, answer.tokens.refresh_token) for answer in answers] == [(True, second)] * repeats
    assert [refusal.reason for refusal in refusals] == ["TOKEN_REUSED"] * (not repeats)


async def test_N_40_a_grandparent_inside_the_grace_ends_the_session(service: Running) -> None:
    """The grace is for the immediate parent only."""
    first = (await service.signed_in()).tokens.refresh_token
    second = (await service.refresh(first)).tokens.refresh_token
    third = (await service.refresh(second)).tokens.refresh_token
    service.clock.advance(seconds=1)
    assert await ended(service, first) == "TOKEN_REUSED"
    assert await ended(service, third) == "SESSION_REVOKED"


async def test_SE_02_reuse_is_noticed_once(service: Running) -> None:
    """Sixteen replays at the same time end the session once, with one notice."""
    email = await service.verified()
    first = (await service.login(email)).tokens.refresh_token
    await service.refresh(first)
    service.clock.advance(seconds=11)
    async with service.clients(16) as clients:
        _, refusals = await outcomes(client.refresh(first) for client in clients)
    reasons = sorted(refusal.reason for refusal in refusals)
    assert len(reasons) == 16 and set(reasons) <= {"SESSION_REVOKED", "TOKEN_REUSED"}
    await service.mails_sent()
    assert service.events("refresh_token_reused", email) == 1
    assert service.mailbox.count(email) == 2


async def test_F_01_a_counter_ahead_of_the_database_is_an_alarm(service: Running) -> None:
    """A database that went back in time has no right answer: refuse, tell the journal, end nothing."""
    session = await service.signed_in()
    newest = (await service.refresh(session.tokens.refresh_token)).tokens.refresh_token
    set_counter(service, session, -1)
    refusal = await refused(service.refresh(newest))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")
    assert service.events("refresh_token_ahead", UUID(session.account.id)) == 1
    set_counter(service, session, +1)
    await service.refresh(newest)


async def test_SE_03_an_idle_session_ends_after_seven_days(service: Running) -> None:
    """Every use starts the seven days again; the last moment is refused."""
    token = (await service.signed_in()).tokens.refresh_token
    service.clock.advance(days=7, seconds=-1)
    token = (await service.refresh(token)).tokens.refresh_token
    service.clock.advance(days=7)
    assert await ended(service, token) == "TOKEN_EXPIRED"


async def test_SE_03_no_session_outlives_thirty_days(service: Running) -> None:
    """Refreshing every day never moves the absolute end, and an access token does not reach beyond it."""
    session = await service.signed_in()
    tokens = session.tokens
    for day in range(30):
        service.clock.advance(days=1, seconds=-1 if day == 29 else 0)
        tokens = (await service.refresh(tokens.refresh_token)).tokens
    assert tokens.access_expires_at == tokens.refresh_expires_at == session.session.expires_at
    service.clock.advance(seconds=1)
    assert await ended(service, tokens.refresh_token) == "TOKEN_EXPIRED"


async def test_N_18_no_refresh_for_a_disabled_account(service: Running) -> None:
    """A live token of a disabled account gives nothing, the parent inside its grace neither."""
    email = await service.verified()
    first = (await service.login(email)).tokens.refresh_token
    second = (await service.refresh(first)).tokens.refresh_token
    service.execute(update(accounts).where(accounts.c.email == email).values(status="disabled"))
    assert [await ended(service, token) for token in (second, first)] == ["SESSION_REVOKED"] * 2


async def test_N_18_no_refresh_for_a_suspended_tenant(service: Running) -> None:
    """A session in a tenant that was suspended gives nothing."""
    email = await service.verified(role="owner", tenant_name="Suspended works")
    session = await service.login(email)
    service.execute(
        update(tenants).where(tenants.c.id == UUID(session.tenant.id)).values(suspended_at=service.clock.now)
    )
    assert await ended(service, session.tokens.refresh_token) == "SESSION_REVOKED"


async def test_N_19_no_refresh_for_an_account_that_is_gone(service: Running) -> None:
    """A deleted account's token is as unknown as any other, whoever has the address now."""
    email = new_email()
    token = (await service.login(await service.verified(email))).tokens.refresh_token
    service.execute(delete(accounts).where(accounts.c.email == email))
    await service.registered(email)
    assert await ended(service, token) == "TOKEN_INVALID"


async def test_SE_02_a_session_that_is_not_remembered_has_no_refresh_token(service: Running) -> None:
    """`remember` false gives an access token and nothing else, and a forged-looking genuine token does not help."""
    session = await service.signed_in(remember=False)
    assert not session.tokens.HasField("refresh_token")
    genuine = service.world.refresh_tokens.issue(UUID(session.session.id), 0)
    assert await ended(service, genuine) == "SESSION_REVOKED"


async def test_SE_02_without_grace_every_second_use_is_theft(launch: Launch) -> None:
    """`refresh_grace` zero is the strict reading of RFC 9700: one answer, then the session is over."""
    service = await launch(policy=STRICT)
    first = (await service.signed_in()).tokens.refresh_token
    async with service.clients(16) as clients:
        answers, refusals = await outcomes(client.refresh(first) for client in clients)
    assert len(answers) == 1
    assert "TOKEN_REUSED" in {refusal.reason for refusal in refusals}
    assert await ended(service, answers[0].tokens.refresh_token) == "SESSION_REVOKED"


async def test_F_01_N_01_sixteen_refreshes_of_one_token_rotate_once(service: Running) -> None:
    """200 rounds of 16 at the same time: one rotation each, one successor for all, and nobody is logged out."""
    session = await service.signed_in()
    token, access = session.tokens.refresh_token, session.tokens.access_token
    async with service.clients(16) as clients:
        for _ in range(200):
            answers, refusals = await outcomes(client.refresh(token) for client in clients)
            assert not refusals
            assert sum(not answer.reused for answer in answers) == 1
            (token,) = {answer.tokens.refresh_token for answer in answers}
            access = answers[-1].tokens.access_token
    await service.get_session(access)
    row = service.rows(select(sessions.c.counter).where(sessions.c.id == UUID(session.session.id)))
    assert row[0].counter == 200


async def test_N_39_N_41_two_tabs_stay_signed_in(service: Running) -> None:
    """Two tabs that refresh the same session 20 ms apart, 100 times, keep one session and never lose it."""
    session = await service.signed_in()
    held = [session.tokens.refresh_token] * 2
    async with service.clients(2) as tabs:
        for _ in range(100):
            for n, tab in enumerate(tabs):
                held[n] = (await tab.refresh(held[n])).tokens.refresh_token
                service.clock.advance(milliseconds=20)
            assert held[0] == held[1]
            service.clock.advance(minutes=10)
            held = [answer.tokens.refresh_token for answer in await asyncio.gather(*map(Running.refresh, tabs, held))]
    count = select(func.count()).where(sessions.c.account_id == UUID(session.account.id))
    assert service.rows(count)[0][0] == 1


async def test_N_41_the_grace_never_gives_the_old_token_back(service: Running) -> None:
    """Every rotation gives a token that was never seen before."""
    tokens = [(await service.signed_in()).tokens.refresh_token]
    for _ in range(10):
        tokens.append((await service.refresh(tokens[-1])).tokens.refresh_token)
        repeated = await service.refresh(tokens[-2])
        assert repeated.tokens.refresh_token == tokens[-1]
    assert len(set(tokens)) == len(tokens)
    assert all(old != new for old, new in pairwise(tokens))


async def test_N_22_a_token_stays_on_its_device(service: Running) -> None:
    """Another fingerprint gets what nonsense gets, also within the grace, and harms nobody; saying nothing is fine."""

    def request(token: str, fingerprint: str) -> pb.RefreshSessionRequest:
        return pb.RefreshSessionRequest(refresh_token=token, device=Device(fingerprint=fingerprint))

    nonsense = (await refused(service.refresh("nonsense"))).on_the_wire
    first = (await service.signed_in(device=Device(fingerprint="phone"))).tokens.refresh_token
    assert (await refused(service.sessions.RefreshSession(request(first, "laptop")))).on_the_wire == nonsense
    second = (await service.sessions.RefreshSession(request(first, "phone"))).tokens.refresh_token
    assert (await refused(service.sessions.RefreshSession(request(first, "laptop")))).on_the_wire == nonsense
    third = (await service.refresh(second)).tokens.refresh_token
    assert not (await service.sessions.RefreshSession(request(third, "phone"))).reused
    unnamed = (await service.signed_in()).tokens.refresh_token
    await service.sessions.RefreshSession(request(unnamed, "laptop"))


async def test_N_22_an_old_token_is_theft_on_any_device(service: Running) -> None:
    """A token that was used before ends its session, whatever device it comes back from."""
    first = (await service.signed_in(device=Device(fingerprint="phone"))).tokens.refresh_token
    second = (await service.refresh(first)).tokens.refresh_token
    service.clock.advance(seconds=11)
    request = pb.RefreshSessionRequest(refresh_token=first, device=Device(fingerprint="laptop"))
    assert (await refused(service.sessions.RefreshSession(request))).reason == "TOKEN_REUSED"
    assert await ended(service, second) == "SESSION_REVOKED"


async def test_F_20_two_processes_rotate_as_one(launch: Launch, tmp_path: Path) -> None:
    """Refreshes of one token on two processes with one database are one rotation as well."""
    one = await launch()
    two = await launch(database_url=one.database_url, clock=one.clock)
    token = (await one.signed_in()).tokens.refresh_token
    for _ in range(20):
        answers, refusals = await outcomes(node.refresh(token) for node in (one, two) * 4)
        assert not refusals
        assert sum(not answer.reused for answer in answers) == 1
        (token,) = {answer.tokens.refresh_token for answer in answers}


async def test_a_refresh_tells_who_it_is_for_when_asked(service: Running) -> None:
    """`include_account` adds the account and its place; without it they are absent."""
    session = await service.signed_in()
    request = pb.RefreshSessionRequest(refresh_token=session.tokens.refresh_token, include_account=True)
    answer = await service.sessions.RefreshSession(request)
    assert answer.account.id == session.account.id
    assert answer.session_id == session.session.id
    assert not (await service.refresh(answer.tokens.refresh_token)).HasField("account")
    assert not isinstance(answer, Refusal)
