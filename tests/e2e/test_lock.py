"""The lock after a hundred wrong passwords, and the three ways out of it: by mail, by a reset, by an administrator."""

from __future__ import annotations

import grpc
import pytest
from sqlalchemy import update
from tests.company import Person, company, member
from tests.running import (
    OTHER_PASSWORD,
    PASSWORD,
    WRONG_PASSWORD,
    Refusal,
    Running,
    new_email,
    outcomes,
    refused,
)
from tests.second_factor import challenged, enrolled, verify

from identity.store.tables import accounts
from identity_pb.v1 import account_service_pb2 as account_pb
from identity_pb.v1 import auth_service_pb2 as pb

SUBJECT = "Your account is locked"


async def guess(service: Running, identifier: str, times: int) -> Refusal:
    """So many wrong passwords in a row, each after the longest wait; the last refusal."""
    refusal = None
    for _ in range(times):
        service.clock.advance(minutes=15)
        refusal = await refused(service.login(identifier, WRONG_PASSWORD))
        assert refusal.reason == "INVALID_CREDENTIALS"
    assert refusal is not None
    return refusal


def budget_of(service: Running, name: str) -> str:
    """What the failures of a name are counted for: its account, or itself if it is nobody's."""
    account = service.world.database.read(
        lambda tx: tx.accounts.find(phone=name) if name.startswith("+") else tx.accounts.find(email=name)
    )
    return str(account.id) if account else name


async def exhaust(service: Running, name: str) -> None:
    """The hundredth wrong password in a row, of which the first and the last are really tried."""
    await guess(service, name, 1)
    service.set_failures("password", budget_of(service, name), 99)
    await guess(service, name, 1)


async def locked(service: Running) -> tuple[str, str]:
    """Somebody whose password is of no use any more, and the token of the mail about it."""
    email = await service.verified()
    await exhaust(service, email)
    return email, await service.mailbox.token(email, subject=SUBJECT)


async def unlock(service: Running, token: str) -> None:
    answer = await service.auth.UnlockAccount(pb.UnlockAccountRequest(token=token))
    assert answer == pb.UnlockAccountResponse()


async def signs_in(service: Running, email: str, password: str = PASSWORD) -> bool:
    """Whether the password is let in, long after the last wait is over."""
    service.clock.advance(minutes=15)
    answers, _ = await outcomes([service.login(email, password)])
    return len(answers) == 1


async def lock_mails(service: Running, email: str) -> int:
    await service.mails_sent()
    return len([mail for mail in service.mailbox.of(email) if mail["Subject"] == SUBJECT])


async def set_status(service: Running, by: Person, account_id: str, action: account_pb.AccountAction.ValueType) -> None:
    request = account_pb.SetAccountStatusRequest(id=account_id, action=action)
    await service.accounts.SetAccountStatus(request, metadata=by.metadata)


# The lock.


async def test_LG_02_ninety_nine_failures_lock_nothing(service: Running) -> None:
    """One before the limit the right password is let in, and the count begins anew."""
    email = await service.verified()
    await guess(service, email, 99)
    assert await signs_in(service, email)
    await guess(service, email, 1)
    service.set_failures("password", budget_of(service, email), 98)
    await guess(service, email, 1)
    assert service.account(email).locked_at is None
    assert await signs_in(service, email)
    assert await lock_mails(service, email) == 0


async def test_LG_02_the_hundredth_failure_disables_the_password_and_is_told_once(service: Running) -> None:
    """From then on the right password gets the answer of a wrong one, and no further attempt sends a mail."""
    email = await service.verified()
    wrong = await guess(service, email, 100)
    assert service.account(email).locked_at == service.clock.now
    await service.mailbox.token(email, subject=SUBJECT)
    for days in (0, 1, 30):
        service.clock.advance(days=days, minutes=15)
        right = await refused(service.login(email, PASSWORD))
        assert right.on_the_wire == wrong.on_the_wire
    await guess(service, email, 5)
    assert await lock_mails(service, email) == 1
    assert service.events("account_locked", email) == 1


async def test_LG_01_an_address_of_nobody_is_refused_alike(service: Running) -> None:
    """Around and beyond the limit a known and an unknown name, and a number without an address, get the same bytes."""
    number = "+33612345600"
    await service.auth.Register(pb.RegisterRequest(phone=number, password=PASSWORD))
    names = (await service.verified(), new_email(), number)
    for name in names:
        await guess(service, name, 1)
        service.set_failures("password", budget_of(service, name), 98)
    for _ in range(3):
        refusals = [await guess(service, name, 1) for name in names]
        assert len({refusal.on_the_wire for refusal in refusals}) == 1
    assert (await refused(service.login(number, PASSWORD))).on_the_wire == refusals[0].on_the_wire
    assert await lock_mails(service, names[1]) == 0


async def test_LG_03_sessions_outlive_the_lock(service: Running) -> None:
    """Whoever guesses passwords does not sign the owner out."""
    email = await service.verified()
    tokens = (await service.login(email)).tokens
    await guess(service, email, 1)
    for failures in (25, 50, 98, 99):
        service.set_failures("password", budget_of(service, email), failures)
        await guess(service, email, 1)
        tokens = (await service.refresh(tokens.refresh_token)).tokens
    assert service.account(email).locked_at is not None
    await service.get_session(tokens.access_token)


# By mail.


@pytest.mark.parametrize("token", ["nonsense", "A" * 43])
async def test_RC_01_an_unknown_token_unlocks_nothing(service: Running, token: str) -> None:
    """There is no such link."""
    refusal = await refused(unlock(service, token))
    assert (refusal.code, refusal.reason, {*refusal.fields}) == (
        grpc.StatusCode.NOT_FOUND,
        "LINK_NOT_FOUND",
        {"token"},
    )


async def test_RC_01_a_token_of_another_purpose_unlocks_nothing(service: Running) -> None:
    """Tokens that verify, reset and unlock are unknown to each other's calls, and stay good for their own."""
    verification = await service.mailbox.token(await service.registered())
    email, token = await locked(service)
    reset = await service.reset_token(email)
    for foreign in (verification, reset):
        assert (await refused(unlock(service, foreign))).reason == "LINK_NOT_FOUND"
    for call in (
        service.auth.VerifyEmail(pb.VerifyEmailRequest(token=token)),
        service.auth.ValidatePasswordReset(pb.ValidatePasswordResetRequest(token=token)),
        service.reset(token),
    ):
        assert (await refused(call)).reason == "LINK_NOT_FOUND"
    assert not await signs_in(service, email)
    await unlock(service, token)
    await service.reset(reset)


@pytest.mark.parametrize(("late_by", "reason"), [(-1, None), (0, "LINK_EXPIRED"), (1, "LINK_EXPIRED")])
async def test_RC_02_a_token_lives_a_day(service: Running, late_by: int, reason: str | None) -> None:
    """A second before its end it unlocks, at its end no more."""
    email, token = await locked(service)
    service.clock.advance(hours=24, seconds=late_by)
    if reason is None:
        await unlock(service, token)
    else:
        assert (await refused(unlock(service, token))).reason == reason
    assert await signs_in(service, email) == (reason is None)


async def test_N_07_a_token_unlocks_once(service: Running) -> None:
    """Used again, also at the same time, it is a used link, and undoes no later failures."""
    email, token = await locked(service)
    async with service.clients(8) as clients:
        calls = (client.auth.UnlockAccount(pb.UnlockAccountRequest(token=token)) for client in clients)
        answers, refusals = await outcomes(calls)
    assert (len(answers), {refusal.reason for refusal in refusals}) == (1, {"LINK_USED"})
    assert service.events("account_unlocked", email) == 1
    await exhaust(service, email)
    assert (await refused(unlock(service, token))).reason == "LINK_USED"
    assert not await signs_in(service, email)


async def test_RC_01_a_newer_lock_kills_the_older_token(service: Running) -> None:
    """Only the token of the newest mail unlocks."""
    owner = await company(service)
    person = await member(service, owner)
    await exhaust(service, person.email)
    older = await service.mailbox.token(person.email, subject=SUBJECT)
    await set_status(service, owner_again := await again(service, owner), person.id, account_pb.ACCOUNT_ACTION_UNLOCK)
    assert owner_again.id != person.id
    await exhaust(service, person.email)
    newer = await service.mailbox.token(person.email, 2, subject=SUBJECT)
    assert (await refused(unlock(service, older))).reason == "LINK_USED"
    await unlock(service, newer)
    assert await signs_in(service, person.email)


async def test_LG_02_the_mailed_token_lets_the_right_password_in_again(service: Running) -> None:
    """It signs nobody in, but every failure is forgotten: five more are free, and the lock is gone from the account."""
    email, token = await locked(service)
    before = service.account(email).sign_in_count
    await unlock(service, token)
    account = service.account(email)
    assert (account.locked_at, account.sign_in_count) == (None, before)
    for _ in range(4):
        await refused(service.login(email, WRONG_PASSWORD))
    await service.login(email)


async def test_LG_02_a_sign_in_that_was_begun_before_the_lock_opens_it(service: Running) -> None:
    """Whoever has proven the password and the factor is the owner, and their password is as good as before."""
    person = await enrolled(service)
    await guess(service, person.email, 1)
    begun = await challenged(service, person.email)
    service.set_failures("password", budget_of(service, person.email), 99)
    await refused(service.login(person.email, WRONG_PASSWORD))
    assert service.account(person.email).locked_at is not None
    await service.auth.VerifyOtp(verify(begun, totp=person.code(service)))
    assert service.account(person.email).locked_at is None
    await challenged(service, person.email)


async def test_LG_06_an_account_that_was_locked_by_hand_is_opened_too(service: Running) -> None:
    """A locked status ends with the token; a right password before that is told that the account is locked."""
    email, token = await locked(service)
    service.execute(update(accounts).where(accounts.c.email == email).values(status="locked"))
    await unlock(service, token)
    assert await signs_in(service, email)


# By a reset.


async def test_RC_05_a_reset_unlocks_too_and_ends_the_token(service: Running) -> None:
    """The new password is let in at once, the old one is not, and the mailed token is used up."""
    email, token = await locked(service)
    await service.reset(await service.reset_token(email))
    await service.login(email, OTHER_PASSWORD)
    assert service.account(email).locked_at is None
    assert (await refused(unlock(service, token))).reason == "LINK_USED"
    assert not await signs_in(service, email)


# By an administrator.


async def again(service: Running, person: Person) -> Person:
    """The same person with a fresh session: a hundred waits outlast an access token."""
    return Person(person.email, await service.login(person.email))


async def test_AZ_02_only_an_administrator_of_the_same_tenant_unlocks(service: Running) -> None:
    """A member may not, and for somebody else's administrator there is no such account."""
    owner, stranger = await company(service), await company(service)
    person, colleague = await member(service, owner), await member(service, owner)
    await exhaust(service, person.email)
    for by, reason in ((colleague, "PERMISSION_DENIED"), (stranger, "NOT_FOUND")):
        by = await again(service, by)
        refusal = await refused(set_status(service, by, person.id, account_pb.ACCOUNT_ACTION_UNLOCK))
        assert refusal.reason == reason
    assert not await signs_in(service, person.email)


async def test_LG_02_an_administrator_unlocks(service: Running) -> None:
    """Without any mail the right password is let in again, and it can be repeated."""
    owner = await company(service)
    person = await member(service, owner)
    await exhaust(service, person.email)
    owner = await again(service, owner)
    for _ in range(2):
        await set_status(service, owner, person.id, account_pb.ACCOUNT_ACTION_UNLOCK)
    assert service.account(person.email).locked_at is None
    await service.login(person.email)


async def test_LG_06_a_mailed_token_opens_no_ban(service: Running) -> None:
    """Disabling ends the token; whoever was disabled stays so."""
    owner = await company(service)
    person = await member(service, owner)
    await exhaust(service, person.email)
    token = await service.mailbox.token(person.email, subject=SUBJECT)
    await set_status(service, await again(service, owner), person.id, account_pb.ACCOUNT_ACTION_DISABLE)
    assert (await refused(unlock(service, token))).reason == "LINK_USED"
    assert not await signs_in(service, person.email)
