"""RequestPasswordReset, ValidatePasswordReset and ResetPassword: the way back in, for the owner of the mailbox only."""

from __future__ import annotations

import re
from typing import Any

import grpc
import pytest
from sqlalchemy import select, update
from tests.company import company
from tests.conftest import Launch
from tests.e2e.passwords import ACCEPTED, assert_refuses
from tests.mailbox import text_of
from tests.residents import join, resident
from tests.running import (
    OTHER_PASSWORD,
    PASSWORD,
    Metadata,
    Running,
    bearer,
    coming_from,
    new_email,
    outcome,
    outcomes,
    refused,
)

from identity.domain.service_access import create_service_key, learn_service_keys
from identity.store.tables import accounts, one_time_tokens
from identity_pb.v1 import auth_service_pb2 as pb
from identity_pb.v1.invite_service_pb2 import CreateInviteRequest


async def request(service: Running, identifier: str, *, metadata: Metadata = (), **fields: Any) -> None:
    wish = pb.RequestPasswordResetRequest(identifier=identifier, **fields)
    answer = await service.auth.RequestPasswordReset(wish, metadata=metadata)
    assert answer == pb.RequestPasswordResetResponse()


async def validate(service: Running, token: str) -> pb.ValidatePasswordResetResponse:
    answer = await service.auth.ValidatePasswordReset(pb.ValidatePasswordResetRequest(token=token))
    assert isinstance(answer, pb.ValidatePasswordResetResponse)
    return answer


async def someone_with_token(service: Running) -> tuple[str, str]:
    email = await service.verified()
    return email, await service.reset_token(email)


async def test_PW_01_PW_04_passwords_that_are_refused(service: Running) -> None:
    """The rules of registering hold here too; a refused password does not use the link up."""
    email, token = await someone_with_token(service)
    await assert_refuses(lambda password: service.reset(token, password), "new_password")
    await service.login(email, PASSWORD)
    await service.reset(token)


async def test_PW_04_no_password_is_made_of_ones_own_names(service: Running) -> None:
    """The account's own address and name are no passwords, and neither is the one it has."""
    email = await service.verified(first_name="Augusta Ada", last_name="King-Lovelace")
    token = await service.reset_token(email)
    for word in (email.upper(), "Augusta Ada King-Lovelace"):
        assert (await refused(service.reset(token, word))).reason == "PASSWORD_BLOCKLISTED"
    assert (await refused(service.reset(token, PASSWORD))).reason == "PASSWORD_UNCHANGED"


async def test_PW_02_passwords_that_are_taken_as_they_are(service: Running) -> None:
    """Nothing is cut or trimmed."""
    email = await service.verified()
    for password in ACCEPTED:
        await service.reset(await service.reset_token(email), password)
        assert (await refused(service.login(email, password[:-1]))).reason == "INVALID_CREDENTIALS"
        await service.login(email, password)


async def test_RC_01_an_unknown_token_resets_nothing(service: Running) -> None:
    """Nonsense, a token that verifies an address and corruptions are equally unknown to both calls."""
    email, real = await someone_with_token(service)
    verification = await service.mailbox.token(await service.registered())
    for call in (service.reset, lambda token: validate(service, token)):
        tokens = ("nonsense", verification, real[:-1], f"{real}A", real.swapcase(), f"{real} ")
        refusals = [await refused(call(token)) for token in tokens]
        assert (refusals[0].code, refusals[0].reason) == (grpc.StatusCode.NOT_FOUND, "LINK_NOT_FOUND")
        assert len({refusal.on_the_wire for refusal in refusals}) == 1
    await service.login(email)


async def test_N_27_a_token_is_good_for_its_own_address_only(service: Running) -> None:
    """With somebody else's address the token is unknown, and stays good; with its own, in any spelling, it works."""
    email, token = await someone_with_token(service)
    victim = await service.verified()
    wish = pb.ResetPasswordRequest(token=token, email=victim, new_password=OTHER_PASSWORD)
    assert (await refused(service.auth.ResetPassword(wish))).reason == "LINK_NOT_FOUND"
    await service.login(victim)
    wish.email = email.upper()
    await service.auth.ResetPassword(wish)
    await service.login(email, OTHER_PASSWORD)


async def test_N_07_a_token_works_once(service: Running) -> None:
    """After the reset its link is used, also for looking at it."""
    _, token = await someone_with_token(service)
    await service.reset(token)
    for call in (service.reset(token, PASSWORD), validate(service, token)):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LINK_USED")


async def test_RC_01_thirty_two_uses_at_once_have_one_effect(service: Running) -> None:
    """Of resets with different passwords at the same time one wins, and only its password signs in."""
    email, token = await someone_with_token(service)
    passwords = [f"a password for attempt {n}" for n in range(32)]
    async with service.clients(8) as clients:
        answers, refusals = await outcomes(clients[n % 8].reset(token, passwords[n]) for n in range(32))
    assert len(answers) == 1
    assert {refusal.reason for refusal in refusals} == {"LINK_USED"}
    assert service.events("password_reset", email) == 1
    stored = service.account(email).password_hash
    assert sum(service.world.passwords.verify(password, stored) for password in passwords) == 1


@pytest.mark.parametrize(("seconds", "reason"), [(-1, None), (0, "LINK_EXPIRED"), (1, "LINK_EXPIRED")])
async def test_RC_02_a_link_lives_for_an_hour(service: Running, seconds: int, reason: str | None) -> None:
    """To the second, for looking at it and for using it."""
    _, token = await someone_with_token(service)
    service.clock.advance(minutes=60, seconds=seconds)
    for call in (validate(service, token), service.reset(token)):
        assert getattr(await outcome(call), "reason", None) == reason


async def test_Z_05_a_slug_has_to_be_of_a_tenant_of_ones_own(service: Running) -> None:
    """With another's the answer is the same and nothing is sent, also in place of the mail to come."""
    one, two = await company(service), await company(service)
    await request(service, one.email, tenant_slug=two.session.tenant.slug, locale="fr")
    service.clock.advance(seconds=61)

    await request(service, one.email, tenant_slug=one.session.tenant.slug, locale="en")

    await service.mailbox.titled(one.email, "Choose a new password")
    assert service.events("password_reset_sent", one.email) == 1


async def test_RC_01_a_newer_link_ends_the_older_one(service: Running) -> None:
    """After another mail only its link works."""
    email, old = await someone_with_token(service)
    new = await service.reset_token(email)
    assert (await refused(service.reset(old))).reason == "LINK_USED"
    await service.reset(new)


async def test_RC_03_a_hundred_wishes_are_one_mail(service: Running) -> None:
    """Within a minute an address gets one mail, in whatever spelling it is asked for."""
    email = await service.verified()
    service.clock.advance(minutes=2)
    for n in range(100):
        await request(service, email if n % 2 else email.upper())
    await service.mails_sent()
    assert service.mailbox.count(email) == 2
    assert service.events("password_reset_sent", email) == 1


async def test_LG_04_a_source_asks_for_twenty_mails_an_hour(service: Running) -> None:
    """What is over is dropped in silence, whomever it is for; other networks go on."""
    email = await service.verified()
    service.clock.advance(minutes=2)
    for n in range(20):
        await request(service, new_email(), metadata=coming_from(f"2001:db8:20:1::{n:x}"))
    await request(service, email, metadata=coming_from("2001:db8:20:1:ffff::1"))
    await service.mails_sent()
    assert service.mailbox.count(email) == 1
    await request(service, email, metadata=coming_from("2001:db8:20:2::1"))
    await service.mails_sent()
    assert service.mailbox.count(email) == 2


async def test_RC_03_nobody_else_is_written_to(service: Running) -> None:
    """An unknown address, a disabled account and a tenant that is not there get the same answer, and no mail."""
    disabled, unknown = await service.verified(), new_email()
    service.execute(update(accounts).where(accounts.c.email == disabled).values(status="disabled"))
    service.clock.advance(minutes=2)
    await request(service, disabled)
    await request(service, unknown)
    await request(service, unknown, tenant_slug="nowhere")
    await request(service, "+33612345698")
    await service.mails_sent()
    assert (service.mailbox.count(disabled), service.mailbox.count(unknown)) == (1, 0)


async def test_Z_30_a_role_can_be_left_out_silently(launch: Launch) -> None:
    """Where the preset excludes a role from resets, the answer is the same and no mail is sent."""
    service = await launch(policy={"roles": {"owner": {"password_reset": False}}})
    email = await service.verified(role="owner", tenant_name="Acme")
    service.clock.advance(minutes=2)
    await request(service, email)
    await service.mails_sent()
    assert service.mailbox.count(email) == 1


async def test_Z_30_a_role_that_is_left_out_is_so_wherever_somebody_has_it(launch: Launch) -> None:
    """Whoever was invited or promoted has it in the tenant, and another one outside of it."""
    service = await launch(policy={"roles": {"owner": {"password_reset": False}}})
    key = create_service_key(service.world, "resets", ["reset:issue"])
    learn_service_keys(service.world)
    promoted, host = resident(service, "user"), resident(service)
    join(service, promoted.account, "owner", host.tenant)
    other = resident(service, "user")
    for who in (promoted, other):
        await request(service, who.email)
    await service.mails_sent()
    assert (service.mailbox.count(promoted.email), service.mailbox.count(other.email)) == (0, 1)
    service.clock.advance(minutes=2)
    wish = pb.RequestPasswordResetRequest(identifier=promoted.email)
    assert not (await service.auth.RequestPasswordReset(wish, metadata=bearer(key))).reset_token


@pytest.mark.parametrize(
    "forged",
    [
        *(("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "javascript")),
        *(("x-forwarded-port", "666"), ("forwarded", "host=evil.example"), ("origin", "https://evil.example")),
        *(("referer", "https://evil.example/"), ("x-original-url", "https://evil.example/"), (":authority", "")),
    ],
    ids=lambda header: header[0],
)
async def test_RC_04_N_10_the_link_is_the_configured_one(service: Running, forged: tuple[str, str]) -> None:
    """Nothing that a request says about the host, the scheme or the port gets into the mail."""
    email = await service.verified()
    service.clock.advance(minutes=2)
    async with service.clients(1, **{"grpc.default_authority": "evil.example"}) as (client,):
        metadata = () if forged[0] == ":authority" else (forged,)
        await client.auth.RequestPasswordReset(pb.RequestPasswordResetRequest(identifier=email), metadata=metadata)
    mail = await service.mailbox.wait(email, 2)
    links = re.findall(r"\S+://\S+", text_of(mail))
    assert links and all(link.startswith("http://127.0.0.1:8080/") for link in links)
    assert "evil" not in mail.as_string() and "666" not in links[0]


async def test_RC_05_a_reset_ends_everything_and_signs_nobody_in(service: Running) -> None:
    """Sessions, refresh tokens and other links die, the owner is told, and the answer holds no token."""
    email = await service.verified()
    opened = [(await service.login(email)).tokens for _ in range(2)]
    token = await service.reset_token(email)
    answer = await service.auth.ResetPassword(pb.ResetPasswordRequest(token=token, new_password=OTHER_PASSWORD))
    assert answer == pb.ResetPasswordResponse()
    for tokens in opened:
        assert (await refused(service.get_session(tokens.access_token))).reason == "SESSION_REVOKED"
        assert (await refused(service.refresh(tokens.refresh_token))).reason == "SESSION_REVOKED"
    assert (await refused(service.login(email))).reason == "INVALID_CREDENTIALS"
    assert (await service.mailbox.wait(email, 3))["Subject"] == "Your password was changed"


async def test_RC_05_a_reset_ends_other_links(service: Running) -> None:
    """A link that still waited to prove the address is used up; the reset itself has proven it."""
    email = await service.registered()
    verification = await service.mailbox.token(email)
    await service.reset(await service.reset_token(email))
    refusal = await refused(service.auth.VerifyEmail(pb.VerifyEmailRequest(token=verification)))
    assert refusal.reason == "LINK_USED"
    await service.login(email, OTHER_PASSWORD)
    digests = select(one_time_tokens).where(one_time_tokens.c.consumed_at.is_(None))
    assert not service.rows(digests.where(one_time_tokens.c.account_id == service.account(email).id))


async def test_RC_05_a_reset_opens_a_lock_and_not_a_ban(service: Running) -> None:
    """Its owner gets out of a lock by it; a disabled account stays disabled."""
    for status, opens in (("locked", True), ("disabled", False)):
        email, token = await someone_with_token(service)
        service.execute(update(accounts).where(accounts.c.email == email).values(status=status))
        await service.reset(token)
        answers, _ = await outcomes([service.login(email, OTHER_PASSWORD)])
        assert len(answers) == opens


async def test_RC_06_looking_at_a_link_uses_nothing_up(service: Running) -> None:
    """A thousand looks give the same answer, and the reset still works."""
    email, token = await someone_with_token(service)
    first = await validate(service, token)
    assert (first.valid, first.email) == (True, email)
    for _ in range(20):
        answers, refusals = await outcomes(validate(service, token) for _ in range(50))
        assert not refusals and all(answer == first for answer in answers)
    await service.reset(token)


async def test_RC_08_proving_an_address_ends_what_somebody_else_set_before(launch: Launch) -> None:
    """Whoever registered a stranger's address loses password and sessions when its owner resets."""
    registration = {"uniform": False, "signs_in": True}
    service = await launch(policy={"registration": registration, "verified_email_to_sign_in": False})
    victim = new_email()
    wish = pb.RegisterRequest(email=victim, password=PASSWORD, first_name="Mallory")
    stolen = (await service.auth.Register(wish)).session.tokens
    await service.reset(await service.reset_token(victim))
    assert (await refused(service.get_session(stolen.access_token))).reason == "SESSION_REVOKED"
    assert (await refused(service.refresh(stolen.refresh_token))).reason == "SESSION_REVOKED"
    assert (await refused(service.login(victim, PASSWORD))).reason == "INVALID_CREDENTIALS"
    assert service.account(victim).email_verified_at is not None


async def test_Z_02_a_backend_gets_no_token_where_nobody_would_get_a_mail(service: Running) -> None:
    """One for an account in 60 s, none for who is unknown, and none for who is not of the tenant that is named."""
    key = create_service_key(service.world, "resets", ["reset:issue"])
    learn_service_keys(service.world)

    async def issued(identifier: str, **fields: Any) -> str:
        wish = pb.RequestPasswordResetRequest(identifier=identifier, **fields)
        return str((await service.auth.RequestPasswordReset(wish, metadata=bearer(key))).reset_token)

    email = await service.verified()
    service.clock.advance(minutes=2)
    assert [await issued(new_email()), await issued("+31612345679"), await issued(email, tenant_slug="nowhere")] == [
        "",
        "",
        "",
    ]
    token = await issued(email)
    assert await issued(email) == ""
    await service.reset(token)
    await service.login(email, OTHER_PASSWORD)


async def test_LG_03_Z_02_other_mails_keep_no_backend_from_a_token_and_a_reset_mail_does(service: Running) -> None:
    """Inviting somebody every minute silences nothing; and a token and a mail together are one in 60 s."""
    key = create_service_key(service.world, "backend", ["reset:issue"])
    learn_service_keys(service.world)
    who, stranger = resident(service), await company(service)
    wish = pb.RequestPasswordResetRequest(identifier=who.email)
    invite = CreateInviteRequest(email=who.email, role="user", locale="en")
    await service.invites.CreateInvite(invite, metadata=stranger.metadata)
    assert (await service.auth.RequestPasswordReset(wish, metadata=bearer(key))).reset_token
    service.clock.advance(minutes=2)
    await request(service, who.email)
    assert not (await service.auth.RequestPasswordReset(wish, metadata=bearer(key))).reset_token


async def test_the_mail_is_in_the_language_of_the_request(service: Running) -> None:
    """The language asked for wins over the account's own."""
    email = await service.verified(locale="en")
    service.clock.advance(minutes=2)
    await request(service, email, locale="nl")
    assert "wachtwoord" in text_of(await service.mailbox.wait(email, 2))
