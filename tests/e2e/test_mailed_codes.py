"""Mailed codes: the one that came is the one that counts, and no way around their bounds (OT-04, OT-06, RC-03)."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select
from tests.conftest import Launch
from tests.residents import codes_by_mail, resident
from tests.running import PASSWORD, Running, bearer, coming_from, outcome, refused
from tests.second_factor import challenged, verify

from identity.domain.code_proof import new_recovery_codes
from identity.presets import PresetInvalid
from identity.store.tables import challenges
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import resources_pb2 as resources

MAIL, RECOVERY = resources.FACTOR_TYPE_EMAIL_OTP, resources.FACTOR_TYPE_RECOVERY_CODE


def with_credentials(email: str, code: str, fingerprint: str = "") -> auth.VerifyOtpRequest:
    """A sign-in repeated together with its code, by a client that keeps no challenge token."""
    device = resources.Device(fingerprint=fingerprint) if fingerprint else None
    who = auth.OtpCredentials(identifier=email, password=PASSWORD, device=device)
    return auth.VerifyOtpRequest(credentials=who, email_code=code)


async def test_OT_04_Z_11_the_code_that_came_counts_however_often_one_signed_in_since(launch: Launch) -> None:
    """A second sign-in within the minute mails nothing, and takes nothing from the code of the first."""
    service = await launch(preset="mobile")
    who = resident(service, "customer")
    codes_by_mail(service, who.account)
    for seconds in (20, 20, 0):
        await challenged(service, who.email)
        service.clock.advance(seconds=seconds)
    code = await service.mailbox.alone(who.email, "[0-9]{6}", 1)
    answer = await service.auth.VerifyOtp(with_credentials(who.email, code))
    assert answer.session.account.email == who.email


async def test_OT_04_Z_10_a_code_that_is_asked_for_by_name_is_for_the_newest_sign_in(launch: Launch) -> None:
    """Where two devices wait, and only the older one got a code."""
    service = await launch(preset="mobile")
    who = resident(service, "customer")
    codes_by_mail(service, who.account)
    for fingerprint in ("old", "new"):
        await challenged(service, who.email, device=resources.Device(fingerprint=fingerprint))
        service.clock.advance(seconds=31)
    await service.auth.SendOtp(auth.SendOtpRequest(identifier=who.email))
    code = await service.mailbox.alone(who.email, "[0-9]{6}", 2)
    answer = await service.auth.VerifyOtp(with_credentials(who.email, code, "new"))
    assert answer.session.account.email == who.email


async def test_OT_04_OT_08_asking_again_for_a_factor_code_spoils_nothing_and_adds_no_row(service: Running) -> None:
    who = resident(service)
    mine = bearer((await service.login(who.email)).tokens.access_token)
    codes_by_mail(service, who.account)
    for _ in range(5):
        await service.factors.SendFactorCode(factors.SendFactorCodeRequest(), metadata=mine)
        service.clock.advance(seconds=1)
    rows = select(func.count()).select_from(challenges).where(challenges.c.account_id == who.account.id)
    assert service.rows(rows)[0][0] == 1
    off = factors.SetEmailOtpRequest(enabled=False, current_password=PASSWORD)
    off.second_factor.email_code = await service.mailbox.alone(who.email, "[0-9]{6}", 1)
    assert not (await service.factors.SetEmailOtp(off, metadata=mine)).HasField("factor")


async def test_OT_06_where_the_policy_has_no_mailed_codes_nobody_gets_in_with_one(launch: Launch) -> None:
    """Who had them switched on before has their recovery codes; none is sent, and none that was sent works."""
    service = await launch()
    who = resident(service)
    codes_by_mail(service, who.account)
    recovery = service.world.database.write(
        lambda tx: new_recovery_codes(service.world, tx, who.account, service.clock.now)
    )
    token = await challenged(service, who.email)
    code = await service.mailbox.alone(who.email, "[0-9]{6}", 1)

    without = await launch(database_url=service.database_url, clock=service.clock, policy={"email_otp": False})
    without.clock.advance(seconds=61)
    assert (await refused(without.auth.VerifyOtp(verify(token, email_code=code)))).reason == "OTP_INVALID"
    login = await without.auth.Login(auth.LoginRequest(identifier=who.email, password=PASSWORD))
    assert (list(login.mfa_challenge.factors), login.mfa_challenge.code_sent) == ([RECOVERY], False)
    await without.auth.SendOtp(auth.SendOtpRequest(challenge_token=login.mfa_challenge.challenge_token))
    await without.mails_sent()
    assert without.mailbox.count(who.email) == 1
    answer = await without.auth.VerifyOtp(verify(login.mfa_challenge.challenge_token, recovery_code=recovery[0]))
    assert answer.session.account.email == who.email


async def test_OT_06_a_policy_that_lets_nobody_in_does_not_start(launch: Launch) -> None:
    """Whoever registers as a manager has to have a second factor, and could have none."""
    with pytest.raises(PresetInvalid, match="registers as manager needs a second factor"):
        await launch(preset="merchant", policy={"email_otp": False})


async def test_RC_03_LG_04_a_source_asks_for_twenty_codes_by_name_an_hour(launch: Launch) -> None:
    """Whomever it names, what is over is dropped silently; and nobody's wish for another mail is dropped for it."""
    service = await launch(preset="mobile")
    who, source = resident(service, "customer"), coming_from("203.0.113.9")
    codes_by_mail(service, who.account)
    for n in range(20):
        await service.auth.SendOtp(auth.SendOtpRequest(identifier=f"nobody{n}@example.org"), metadata=source)
    await challenged(service, who.email)
    service.clock.advance(seconds=61)
    wish, reset = auth.SendOtpRequest(identifier=who.email), auth.RequestPasswordResetRequest(identifier=who.email)
    await service.auth.SendOtp(wish, metadata=source)
    await service.auth.RequestPasswordReset(reset, metadata=source)
    await service.mails_sent()
    assert service.mailbox.count(who.email) == 1 + 1  # the code of the sign-in, and the reset
    await service.auth.SendOtp(wish, metadata=coming_from("203.0.113.10"))
    await service.mailbox.alone(who.email, "[0-9]{6}", 2)


async def test_LG_04_sign_ins_with_a_second_factor_cost_a_source_nothing(service: Running) -> None:
    """A hundred people behind one address may all be asked for a code."""
    who, source = resident(service), coming_from("198.51.100.9")
    codes_by_mail(service, who.account)
    await outcome(service.login("nobody@example.org", metadata=source))
    service.set_failures("source", "198.51.100.9", 98, minutes=15)
    wish = auth.LoginRequest(identifier=who.email, password=PASSWORD)
    for _ in range(4):
        login = await service.auth.Login(wish, metadata=source)
        assert login.WhichOneof("result") == "mfa_challenge"
    assert (await refused(service.login("nobody@example.org", metadata=source))).reason == "INVALID_CREDENTIALS"
    assert (await refused(service.login("nobody@example.org", metadata=source))).reason == "INVALID_CREDENTIALS"
    assert (await refused(service.login("nobody@example.org", metadata=source))).reason == "RATE_LIMITED"
