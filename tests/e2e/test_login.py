"""Login: one failure for everything that is not right, and what a right password opens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest
from sqlalchemy import update
from tests.running import (
    OTHER_PASSWORD,
    PASSWORD,
    WRONG_PASSWORD,
    Refusal,
    Running,
    bearer,
    coming_from,
    new_email,
    outcomes,
    refused,
)

from identity.crypto.passwords import PasswordHasher
from identity.store.tables import accounts, tenants
from identity_pb.v1 import auth_service_pb2 as pb
from identity_pb.v1 import session_service_pb2 as sessions


async def login_refused(service: Running, email: str, password: str = PASSWORD, **fields: Any) -> Refusal:
    return await refused(service.login(email, password, **fields))


def change(service: Running, email: str, **columns: Any) -> str:
    """Change an account's row behind the back of the service."""
    service.execute(update(accounts).where(accounts.c.email == email).values(**columns))
    return email


async def owner_of_suspended_tenant(service: Running) -> str:
    email = await service.verified(role="owner", tenant_name="Suspended")
    tenant = (await service.login(email)).tenant.id
    service.execute(update(tenants).where(tenants.c.id == UUID(tenant)).values(suspended_at=service.clock.now))
    return email


async def blocked(service: Running) -> str:
    """Somebody whose free attempts are used up."""
    email = await service.verified()
    for _ in range(5):
        await login_refused(service, email, WRONG_PASSWORD)
    return email


async def test_LG_01_every_failure_is_the_same_bytes(service: Running) -> None:
    """Unknown, wrong, elsewhere, throttled, disabled, locked, unproven: code, text, details and metadata are alike."""
    person = await service.verified()
    refusals = {
        "unknown address": await login_refused(service, new_email()),
        "unknown number": await login_refused(service, "+33612345699"),
        "wrong password": await login_refused(service, person, WRONG_PASSWORD),
        "unknown tenant": await login_refused(service, person, tenant_slug="nowhere"),
        "unknown tenant, wrong password": await login_refused(service, person, WRONG_PASSWORD, tenant_slug="nowhere"),
        "throttled": await login_refused(service, await blocked(service)),
        "throttled, wrong password": await login_refused(service, await blocked(service), WRONG_PASSWORD),
        "disabled": await login_refused(service, change(service, await service.verified(), status="disabled")),
        "disabled, wrong password": await login_refused(
            service, change(service, await service.verified(), status="disabled"), WRONG_PASSWORD
        ),
        "locked, wrong password": await login_refused(
            service, change(service, await service.verified(), status="locked"), WRONG_PASSWORD
        ),
        "unproven, wrong password": await login_refused(service, await service.registered(), WRONG_PASSWORD),
        "without a password": await login_refused(service, change(service, person, password_hash=None)),
        "expired temporary password": await login_refused(
            service, change(service, await service.verified(), password_expires_at=service.clock.now)
        ),
        "suspended tenant": await login_refused(service, await owner_of_suspended_tenant(service)),
    }
    expected = refusals["wrong password"]
    assert (expected.code, expected.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_CREDENTIALS")
    assert {kind for kind, refusal in refusals.items() if refusal.on_the_wire != expected.on_the_wire} == set()


async def test_LG_01_N_13_twenty_attempts_tell_nothing(service: Running) -> None:
    """Also past every threshold of the budget a known and an unknown name get the same bytes."""
    known, unknown = await service.verified(), new_email()
    for _ in range(20):
        service.clock.advance(milliseconds=700)
        refusals = [await login_refused(service, name, WRONG_PASSWORD) for name in (known, unknown)]
        assert refusals[0].on_the_wire == refusals[1].on_the_wire


@pytest.mark.parametrize(("columns", "reason"), [({"status": "locked"}, "ACCOUNT_LOCKED"), ({}, "EMAIL_NOT_VERIFIED")])
async def test_LG_01_only_the_proven_owner_is_told(service: Running, columns: dict[str, str], reason: str) -> None:
    """A lock and a missing proof of the address are told to whoever knows the password, and to nobody else."""
    email = await service.registered() if not columns else change(service, await service.verified(), **columns)
    assert (await login_refused(service, email, WRONG_PASSWORD)).reason == "INVALID_CREDENTIALS"
    refusal = await login_refused(service, email)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, reason)
    assert service.events("sign_in_refused", email) == 1
    assert service.account(email).sign_in_count == 0


@pytest.mark.parametrize("length", [71, 72, 73, 100, 128])
async def test_PW_02_the_last_character_counts(service: Running, length: int) -> None:
    """Passwords that differ only in their last character differ, at and beyond the 72 bytes of bcrypt."""
    email = await service.verified(password="p" * length)
    await login_refused(service, email, "p" * (length - 1) + "q")
    await login_refused(service, email, "p" * (length - 1))
    await service.login(email, "p" * length)


async def test_PW_02_a_huge_password_is_refused_before_it_is_hashed(service: Running) -> None:
    """What cannot be a password costs no attempt and no hash."""
    email = await service.verified()
    refusal = await login_refused(service, email, "p" * 60_000)
    assert (refusal.reason, {*refusal.fields}) == ("INVALID_REQUEST", {"password"})
    assert service.events("sign_in_failed", email) == 0


async def test_PW_03_the_same_text_in_another_encoding_is_the_same_password(service: Running) -> None:
    """A password set in one normal form of Unicode is right in the other; a space more is another password."""
    composed, decomposed = "Crème brûlée à la carte", "Cre\u0300me bru\u0302le\u0301e a\u0300 la carte"
    email = await service.verified(password=composed)
    await service.login(email, decomposed)
    await login_refused(service, email, f" {composed}")
    await login_refused(service, email, composed.upper())


async def test_PW_05_a_password_under_another_cost_is_hashed_anew(service: Running) -> None:
    """Signing in brings a row of another cost to the present one; a wrong password changes nothing."""
    email = await service.verified()
    ours = service.account(email).password_hash or ""
    pepper_id = ours.split("$")[1]
    older = PasswordHasher(service.world.passwords._peppers[pepper_id], pepper_id, 5).hash(PASSWORD)
    change(service, email, password_hash=older)
    await login_refused(service, email, WRONG_PASSWORD)
    assert service.account(email).password_hash == older
    await service.login(email)
    stored = service.account(email).password_hash or ""
    assert stored.startswith(ours[: ours.index("$2b$04$") + 7])
    await service.login(email)
    assert service.account(email).password_hash == stored


async def test_PW_05_a_password_under_another_pepper_is_worth_nothing(service: Running) -> None:
    """Without its pepper a stored hash proves nothing, and the failure looks like every other."""
    email = await service.verified()
    foreign = PasswordHasher(b"another pepper", "other", 4).hash(PASSWORD)
    change(service, email, password_hash=foreign)
    refusal = await login_refused(service, email)
    assert refusal.on_the_wire == (await login_refused(service, new_email())).on_the_wire
    assert service.account(email).password_hash == foreign


async def test_PW_07_a_temporary_password_can_only_be_changed(service: Running) -> None:
    """Its session reads itself, signs out and changes the password; it cannot be refreshed and ends with the change."""
    email = change(service, await service.verified(), require_password_change=True)
    response = await service.auth.Login(pb.LoginRequest(identifier=email, password=PASSWORD, remember=True))
    assert response.WhichOneof("result") == "password_change"
    tokens = response.password_change.tokens
    assert not tokens.HasField("refresh_token")
    assert (await service.get_session(tokens.access_token)).session.restricted
    await service.change_password(tokens.access_token, PASSWORD, OTHER_PASSWORD)
    assert (await refused(service.get_session(tokens.access_token))).reason == "SESSION_REVOKED"
    await service.login(email, OTHER_PASSWORD)


async def test_PW_07_nothing_but_the_change_is_open(service: Running) -> None:
    """Every other call of the contract that asks for a caller refuses the session of a temporary password."""
    email = change(service, await service.verified(), require_password_change=True)
    response = await service.auth.Login(pb.LoginRequest(identifier=email, password=PASSWORD))
    token = response.password_change.tokens.access_token
    request = sessions.ListSessionsRequest()
    assert (await refused(service.sessions.ListSessions(request, metadata=bearer(token)))).code in (
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    )
    await service.sign_out(token)
    assert (await refused(service.get_session(token))).reason == "SESSION_REVOKED"


async def test_PW_07_a_temporary_password_expires(service: Running) -> None:
    """It works until the second before its end."""
    email = await service.verified()
    ends = service.clock.now + timedelta(hours=24)
    change(service, email, require_password_change=True, password_expires_at=ends)
    service.clock.advance(hours=24, seconds=-1)
    await service.auth.Login(pb.LoginRequest(identifier=email, password=PASSWORD))
    service.clock.advance(seconds=1)
    assert (await login_refused(service, email)).reason == "INVALID_CREDENTIALS"


def test_PW_07_no_hints_and_no_questions() -> None:
    """No request or answer about passwords has a field for a hint, a question or an age."""
    for message in pb.DESCRIPTOR.message_types_by_name.values():
        assert not {"hint", "question", "answer", "password_age"} & {field.name for field in message.fields}


async def test_N_04_sixteen_right_passwords_at_once_all_sign_in(service: Running) -> None:
    """The budget never refuses a right password in a state that is not throttled, however many come at once."""
    email = await service.verified()
    async with service.clients(16) as clients:
        answers, refusals = await outcomes(client.login(email) for client in clients)
        assert (len(answers), refusals) == (16, [])
        for _ in range(4):
            await login_refused(service, email, WRONG_PASSWORD)
        answers, refusals = await outcomes(client.login(email) for client in clients)
    assert (len(answers), refusals) == (16, [])
    assert len({answer.session.id for answer in answers}) == 16
    assert service.account(email).sign_in_count == 32


async def test_N_04_PW_05_they_do_so_while_the_password_is_hashed_anew(service: Running) -> None:
    """The first one renews what is stored, and spoils nothing for those who have proven the older form meanwhile."""
    email = await service.verified()
    pepper_id = (service.account(email).password_hash or "").split("$")[1]
    older = PasswordHasher(service.world.passwords._peppers[pepper_id], pepper_id, 5).hash(PASSWORD)
    change(service, email, password_hash=older)
    async with service.clients(8) as clients:
        answers, refusals = await outcomes(client.login(email) for client in clients)
    assert (len(answers), refusals) == (8, [])
    assert service.account(email).password_hash != older


async def test_a_sign_in_is_counted_with_its_time_and_source(service: Running) -> None:
    """The account tells of this sign-in and the one before it."""
    email = await service.verified()
    await service.login(email, metadata=coming_from("203.0.113.1"))
    first_at = service.clock.now
    service.clock.advance(hours=1)
    sign_ins = (await service.login(email, metadata=coming_from("::ffff:203.0.113.2"))).account.sign_ins
    assert (sign_ins.count, sign_ins.last_ip, sign_ins.current_ip) == (2, "203.0.113.1", "203.0.113.2")
    assert sign_ins.last_at.ToDatetime() == first_at.replace(tzinfo=None)


async def test_the_right_tenant_is_entered(service: Running) -> None:
    """With the slug or without it, the session stands in the account's tenant."""
    email = await service.verified(role="owner", tenant_name="The right one")
    assert (await service.login(email, tenant_slug="the-right-one")).tenant.name == "The right one"
    assert (await service.login(email)).tenant.slug == "the-right-one"
