"""Budgets: how many guesses anybody gets, and that nobody is locked out by somebody else's."""

from __future__ import annotations

import grpc
import pytest
from sqlalchemy import update
from tests.running import (
    OTHER_PASSWORD,
    PASSWORD,
    WRONG_PASSWORD,
    Running,
    coming_from,
    new_email,
    outcomes,
    refused,
)

from identity.domain.housekeeping import sweep
from identity.store.tables import accounts
from identity_pb.v1 import auth_service_pb2 as pb


async def guess(service: Running, name: str, *, source: str | None = None, password: str = WRONG_PASSWORD) -> str:
    """The reason that one attempt is refused for."""
    return (await refused(service.login(name, password, metadata=coming_from(source) if source else ()))).reason


def evaluated(service: Running, email: str) -> int:
    """How many guesses at an account's password were looked at."""
    return service.events("sign_in_failed", email)


async def test_LG_02_five_are_free_then_every_failure_doubles_the_wait(service: Running) -> None:
    """One second after the fifth failure, two after the sixth, at most fifteen minutes; to the millisecond."""
    email = await service.verified()
    for _ in range(5):
        await guess(service, email)
    assert evaluated(service, email) == 5
    for n, wait in enumerate((1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900), start=5):
        service.clock.advance(seconds=wait - 0.001)
        await guess(service, email)
        assert evaluated(service, email) == n
        service.clock.advance(seconds=0.001)
        await guess(service, email)
        assert evaluated(service, email) == n + 1


async def test_LG_02_N_03_three_hundred_guesses_at_once(service: Running) -> None:
    """On 64 connections at the same time exactly the five free ones are looked at, and all answers are alike."""
    email = await service.verified()
    async with service.clients(64) as clients:
        calls = (clients[n % 64].login(email, WRONG_PASSWORD) for n in range(300))
        answers, refusals = await outcomes(calls)
    assert not answers
    assert len({refusal.on_the_wire for refusal in refusals}) == 1
    assert refusals[0].reason == "INVALID_CREDENTIALS"
    assert (evaluated(service, email), service.events("sign_in_blocked", email)) == (5, 295)
    assert await guess(service, email, password=PASSWORD) == "INVALID_CREDENTIALS"


async def test_LG_02_F_10_the_free_attempts_need_no_common_clock(service: Running) -> None:
    """What was begun a moment before the last attempt, or on a clock that is behind, is free all the same."""
    email = await service.verified()
    for _ in range(4):
        await guess(service, email)
        service.clock.advance(seconds=-1)
    await service.login(email)
    service.clock.advance(seconds=4)
    assert evaluated(service, email) == 4


async def test_LG_02_the_right_password_does_not_open_a_wait(service: Running) -> None:
    """While an attempt has to wait, the right password fails like a wrong one, uncounted; then it works."""
    email = await service.verified()
    for _ in range(6):
        await guess(service, email)
    assert await guess(service, email, password=PASSWORD) == "INVALID_CREDENTIALS"
    service.clock.advance(seconds=1)
    await service.login(email)
    assert evaluated(service, email) == 5


async def test_LG_02_a_sign_in_gives_the_attempts_back(service: Running) -> None:
    """After a success five failures are free again."""
    email = await service.verified()
    for _ in range(2):
        for _ in range(4):
            await guess(service, email)
        await service.login(email)
    assert evaluated(service, email) == 8


async def test_LG_02_after_a_hundred_failures_only_a_reset_helps(service: Running) -> None:
    """The password is disabled, however long one waits and whatever is swept away; a new one by mail works at once."""
    email = await service.verified()
    for _ in range(100):
        await guess(service, email)
        service.clock.advance(minutes=15)
    assert evaluated(service, email) == 100
    service.clock.advance(days=31)
    sweep(service.world)
    assert await guess(service, email, password=PASSWORD) == "INVALID_CREDENTIALS"
    assert evaluated(service, email) == 100
    await service.reset(await service.reset_token(email))
    await service.login(email, OTHER_PASSWORD)


async def test_LG_02_N_14_every_spelling_of_a_name_shares_one_budget(service: Running) -> None:
    """Another case, and the account's phone number, are no fresh attempts."""
    email = await service.verified(phone="+32 470 00 11 22")
    for name in (email, email.upper(), email.title(), "+32470001122", "+32 (0)470 00.11.22", email):
        await guess(service, name)
    assert evaluated(service, email) == 5
    service.execute(update(accounts).where(accounts.c.email == email).values(phone=None))


async def test_LG_02_unknown_names_have_a_budget_too(service: Running) -> None:
    """Guesses at nobody are counted and held back like guesses at somebody, or the waiting would tell them apart."""
    before = [service.events(event) for event in ("sign_in_failed", "sign_in_blocked")]
    name = new_email()
    for _ in range(7):
        await guess(service, name)
    after = [service.events(event) for event in ("sign_in_failed", "sign_in_blocked")]
    assert [b - a for a, b in zip(before, after, strict=True)] == [5, 2]


async def test_LG_02_changing_a_password_is_charged_like_signing_in(service: Running) -> None:
    """Without a bearer it costs the account's attempts (Z-03), with one those of the bearer's device, and no more."""
    email = await service.verified()
    token = (await service.login(email)).tokens.access_token
    request = pb.ChangePasswordRequest(identifier=email, current_password=WRONG_PASSWORD, new_password=OTHER_PASSWORD)
    for _ in range(3):
        await refused(service.auth.ChangePassword(request))
        await guess(service, email)
    assert evaluated(service, email) == 5
    assert await guess(service, email, password=PASSWORD) == "INVALID_CREDENTIALS"
    for _ in range(6):
        await refused(service.change_password(token, WRONG_PASSWORD, OTHER_PASSWORD))
    assert evaluated(service, email) == 5 + 5
    assert (await refused(service.change_password(token, PASSWORD, OTHER_PASSWORD))).reason == "INVALID_CREDENTIALS"


async def test_LG_03_a_stranger_cannot_lock_the_owner_out(service: Running) -> None:
    """While guesses are held back, the owner's sessions go on and the way by mail stays open."""
    email = await service.verified()
    tokens = (await service.login(email)).tokens
    for _ in range(50):
        await guess(service, email)
    await service.get_session((await service.refresh(tokens.refresh_token)).tokens.access_token)
    await service.reset(await service.reset_token(email))
    await service.login(email, OTHER_PASSWORD)


async def test_LG_03_a_stranger_cannot_silence_the_reset_mail(service: Running) -> None:
    """Asking for other mails to an address, or registering it again, does not use up its owner's reset mail."""
    email = await service.verified()
    service.clock.advance(minutes=2)
    await service.auth.ResendVerification(pb.ResendVerificationRequest(email=email))
    await service.registered(email)
    await service.auth.RequestPasswordReset(pb.RequestPasswordResetRequest(identifier=email))
    await service.reset(await service.mailbox.token(email, 2))


async def test_LG_04_a_source_has_a_hundred_failures(service: Running) -> None:
    """Whomever it asks for, a /64 gets 100 failures in 15 minutes, then a refusal that says how long; others go on."""
    person = await service.verified()
    for n in range(100):
        assert await guess(service, new_email(), source=f"2001:db8:7:7::{n:x}") == "INVALID_CREDENTIALS"
    refusal = await refused(service.login(person, metadata=coming_from("2001:db8:7:7:8000::1")))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert refusal.retry_after == 900
    assert evaluated(service, person) == 0
    await service.login(person, metadata=coming_from("2001:db8:7:8::1"))
    service.clock.advance(minutes=15)
    await service.login(person, metadata=coming_from("2001:db8:7:7::1"))


async def test_LG_04_successes_cost_a_source_nothing(service: Running) -> None:
    """An office behind one address signs in as often as it wants."""
    email = await service.verified()
    for _ in range(101):
        await service.login(email, metadata=coming_from("198.51.100.7"))


@pytest.mark.parametrize("address", ["a", "", "203.0.113.1, 203.0.113.2", "203.0.113.1:80", "fe80::1%eth0", "1.2.3"])
async def test_LG_04_N_28_an_address_that_cannot_be_read_is_refused(service: Running, address: str) -> None:
    """A source that makes no sense is no way around the budgets: the call is refused, a right password too."""
    refusal = await refused(service.login(await service.verified(), metadata=coming_from(address)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
