"""Races: whatever meets whatever else at the same time, the rules hold and nothing is left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from itertools import cycle
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update
from tests.company import company, member
from tests.running import (
    OTHER_PASSWORD,
    PASSWORD,
    Refusal,
    Running,
    new_email,
    outcome,
    outcomes,
    refused,
)

from identity.store.tables import accounts, memberships, one_time_tokens, sessions, tenants
from identity_pb.v1 import auth_service_pb2 as pb
from identity_pb.v1.factor_service_pb2 import BeginTotpEnrollmentRequest
from identity_pb.v1.invite_service_pb2 import AcceptInviteRequest, CreateInviteRequest
from identity_pb.v1.resources_pb2 import SessionTokens
from identity_pb.v1.session_service_pb2 import SwitchTenantRequest

ROUNDS = 12


def count(service: Running, table: Any, *where: Any) -> int:
    return int(service.rows(select(func.count()).select_from(table).where(*where))[0][0])


def owner(email: str, tenant: str, password: str = PASSWORD) -> pb.RegisterRequest:
    return pb.RegisterRequest(email=email, password=password, role="owner", tenant_name=tenant)


async def assert_over(service: Running, tokens: SessionTokens) -> None:
    """Neither token of a session works any more."""
    assert isinstance(await outcome(service.get_session(tokens.access_token)), Refusal)
    assert isinstance(await outcome(service.refresh(tokens.refresh_token)), Refusal)


async def at_once(*calls: Awaitable[Any]) -> list[Any]:
    """What came of calls made at the same time, in their order."""
    return list(await asyncio.gather(*map(outcome, calls)))


async def test_F_06_fifty_registrations_of_one_address_make_one_account(service: Running) -> None:
    """One account, one tenant, one mail, whatever the case; all answers look alike and one password is right."""
    email, name = new_email(), f"Race {new_email()}"
    spellings = cycle([email, email.upper(), email.title(), email.replace("example", "EXAMPLE")])
    passwords = [f"a password for attempt {n}" for n in range(50)]
    requests = [owner(next(spellings), name, password) for password in passwords]
    async with service.clients(10) as clients:
        answers, refusals = await outcomes(clients[n % 10].auth.Register(requests[n]) for n in range(50))
    assert (len(answers), refusals) == (50, [])
    assert {answer.account.email for answer in answers} == {email}
    assert len({answer.account.id for answer in answers}) == 50
    account = service.account(email)
    assert sum(answer.account.id == str(account.id) for answer in answers) == 1
    assert count(service, tenants, tenants.c.name == name, tenants.c.suspended_at.is_(None)) == 1
    assert count(service, memberships, memberships.c.account_id == account.id) == 1
    assert sum(service.world.passwords.verify(password, account.password_hash) for password in passwords) == 1
    assert (service.events("account_registered", email), service.events("registration_repeated", email)) == (1, 49)
    await service.mails_sent()
    assert service.mailbox.count(email) == 1


async def test_F_06_registrations_of_one_tenant_name_get_slugs_of_their_own(service: Running) -> None:
    """Fifty companies of one name are fifty tenants, from acme and acme-2 on; no account is without its own."""
    people = [new_email() for _ in range(50)]
    async with service.clients(10) as clients:
        calls = (clients[n % 10].auth.Register(owner(people[n], "Acme")) for n in range(50))
        answers, refusals = await outcomes(calls)
    assert not refusals
    slugs = {answer.tenant.slug for answer in answers}
    assert len(slugs) == 50 and {"acme", "acme-2", "acme-3", "acme-4", "acme-5"} <= slugs
    alone = select(accounts.c.email).outerjoin(memberships, memberships.c.account_id == accounts.c.id)
    alone = alone.where(accounts.c.email.in_(people), memberships.c.account_id.is_(None))
    assert not service.rows(alone)


async def test_F_06_registrations_of_one_number_give_it_to_one_account(service: Running) -> None:
    """In every spelling; the others are accounts of their address alone (Z-24)."""
    spellings = cycle(["+33 6 11 22 33 44", "+33611223344", "+33 (0)6.11.22.33.44"])
    requests = [pb.RegisterRequest(email=new_email(), phone=next(spellings), password=PASSWORD) for _ in range(16)]
    _, refusals = await outcomes(service.auth.Register(request) for request in requests)
    assert not refusals
    theirs = accounts.c.email.in_([request.email for request in requests])
    assert count(service, accounts, theirs) == 16
    assert count(service, accounts, theirs, accounts.c.phone == "+33611223344") == 1


async def test_F_09_after_a_sign_out_no_refresh_works(service: Running) -> None:
    """Refreshes that meet the end of their session succeed before it or are refused; what they gave is dead."""
    email = await service.verified()
    async with service.clients(4) as (one, two, three, four):
        for _ in range(ROUNDS):
            tokens = (await service.login(email)).tokens
            results = await at_once(
                one.refresh(tokens.refresh_token),
                two.sign_out(tokens.access_token),
                three.refresh(tokens.refresh_token),
                four.get_session(tokens.access_token),
            )
            for result in results:
                if isinstance(result, Refusal):
                    assert result.reason == "SESSION_REVOKED"
            for refreshed in (results[0], results[2]):
                if not isinstance(refreshed, Refusal):
                    await assert_over(service, refreshed.tokens)
            await assert_over(service, tokens)
    assert service.events("signed_out", email) == ROUNDS
    assert service.events("refresh_token_reused", email) == 0


@pytest.mark.parametrize("by_mail", [True, False], ids=["reset", "change"])
async def test_F_09_after_a_new_password_nothing_of_the_old_one_works(service: Running, by_mail: bool) -> None:
    """Sign-ins and refreshes that meet the change succeed before it or are refused; what they gave is dead."""
    email, current, new = await service.verified(), PASSWORD, OTHER_PASSWORD
    async with service.clients(4) as (one, two, three, four):
        for _ in range(ROUNDS):
            tokens = (await service.login(email, current)).tokens
            wish = pb.ChangePasswordRequest(identifier=email, current_password=current, new_password=new)
            changing = two.reset(await service.reset_token(email), new) if by_mail else two.auth.ChangePassword(wish)
            results = await at_once(
                one.login(email, current), changing, three.login(email, current), four.refresh(tokens.refresh_token)
            )
            if isinstance(results[1], Refusal):
                # The one thing that may refuse a change by password: the sign-ins beside it used the free attempts.
                assert (by_mail, results[1].reason) == (False, "INVALID_CREDENTIALS")
                continue
            for answer in (results[0], results[2], results[3]):
                if isinstance(answer, Refusal):
                    assert answer.reason in ("INVALID_CREDENTIALS", "SESSION_REVOKED")
                else:
                    await assert_over(service, answer.tokens)
            await assert_over(service, tokens)
            assert (await refused(service.login(email, current))).reason == "INVALID_CREDENTIALS"
            current, new = new, current
            await service.login(email, current)
    assert service.events("password_reset" if by_mail else "password_changed", email) == ROUNDS


async def test_F_09_proof_reset_and_change_at_the_same_time(service: Running) -> None:
    """All three touch the account and its links: each succeeds or is told why not, and one password is right."""
    async with service.clients(3) as (one, two, three):
        for _ in range(10):
            email = await service.registered()
            proof = await service.mailbox.token(email)
            reset = await service.reset_token(email)
            wish = pb.ChangePasswordRequest(identifier=email, current_password=PASSWORD, new_password=OTHER_PASSWORD)
            results = await at_once(
                one.auth.VerifyEmail(pb.VerifyEmailRequest(token=proof)),
                two.reset(reset, "a password by way of the mail"),
                three.auth.ChangePassword(wish),
            )
            allowed = ({"LINK_USED"}, {"LINK_USED"}, {"EMAIL_NOT_VERIFIED", "INVALID_CREDENTIALS"})
            for result, reasons in zip(results, allowed, strict=True):
                assert not isinstance(result, Refusal) or result.reason in reasons
            passwords = ["a password by way of the mail", OTHER_PASSWORD]
            answers, _ = await outcomes(service.login(email, password) for password in passwords)
            assert len(answers) == 1


async def test_F_09_nothing_comes_of_a_session_that_ended_meanwhile(service: Running) -> None:
    """A call that was let in just before its session ended gives no token, and changes no password and no factor."""
    owner, elsewhere = await company(service), await company(service)
    person = await member(service, owner)
    service.clock.advance(minutes=2)
    await service.invites.CreateInvite(
        CreateInviteRequest(email=person.email, role="user", locale="en"), metadata=elsewhere.metadata
    )
    token = await service.mailbox.token(person.email, 2, subject="invited")
    # In the database alone: this process is about to learn of it, and still lets the caller in.
    service.execute(
        update(sessions).where(sessions.c.id == UUID(person.session.session.id)).values(revoked_at=service.clock.now)
    )
    home = owner.session.tenant.id
    calls = {
        "password": service.change_password(person.session.tokens.access_token, PASSWORD, OTHER_PASSWORD),
        "factor": service.factors.BeginTotpEnrollment(
            BeginTotpEnrollmentRequest(current_password=PASSWORD), metadata=person.metadata
        ),
        "invite": service.invites.AcceptInvite(AcceptInviteRequest(token=token), metadata=person.metadata),
        "tenant": service.sessions.SwitchTenant(SwitchTenantRequest(tenant_id=home), metadata=person.metadata),
    }
    for what, call in calls.items():
        assert (await refused(call)).reason == "SESSION_REVOKED", what
    assert count(service, sessions, sessions.c.account_id == service.account(person.email).id) == 1
    await service.login(person.email)


@pytest.mark.parametrize("by_reset", [True, False], ids=["reset", "proof"])
async def test_F_09_whoever_waits_for_the_account_holds_no_link(service: Running, by_reset: bool) -> None:
    """Account first, links afterwards, on every path: in another order two of them would wait for each other."""
    if service.world.database.dialect == "sqlite":
        pytest.skip("one writer at a time: nobody waits for a row")
    email = await service.registered()
    proof, reset = await service.mailbox.token(email), await service.reset_token(email)
    account, held, go = service.account(email), Event(), Event()

    def hold(tx: Any) -> list[Any]:
        tx.accounts.lock(account.id, password_hash=account.password_hash)
        held.set()
        go.wait(10)
        links = select(one_time_tokens).where(one_time_tokens.c.account_id == account.id)
        return list(tx._connection.execute(links.with_for_update(skip_locked=True)))

    holding = asyncio.create_task(asyncio.to_thread(service.world.database.write, hold))
    await asyncio.to_thread(held.wait, 10)
    call = service.reset(reset) if by_reset else service.auth.VerifyEmail(pb.VerifyEmailRequest(token=proof))
    waiting = asyncio.ensure_future(outcome(call))
    blocked = text("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
    while not service.rows(blocked) and not waiting.done():
        await asyncio.sleep(0)
    go.set()
    assert len(await holding) == 2
    assert not isinstance(await waiting, Refusal)


async def test_SE_06_sign_ins_at_the_same_time_leave_twenty_sessions(service: Running) -> None:
    """However many sign in together, an account never has more than its twenty sessions."""
    email = await service.verified()
    async with service.clients(8) as clients:
        answers, refusals = await outcomes(clients[n % 8].login(email) for n in range(40))
    assert not refusals
    _, ended = await outcomes(service.get_session(answer.tokens.access_token) for answer in answers)
    assert {refusal.reason for refusal in ended} == {"SESSION_REVOKED"}
    assert len(ended) == 20
    assert service.events("session_evicted", UUID(answers[0].account.id)) == 20
