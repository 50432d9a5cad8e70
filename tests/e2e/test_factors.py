"""Second factors: enrolling, proving and removing them, and what guessing gets (OT-01 to OT-08)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import grpc
import pyotp
import pytest
from sqlalchemy import select
from tests.company import company
from tests.conftest import Launch
from tests.running import PASSWORD, WRONG_PASSWORD, Running, bearer, refused
from tests.second_factor import Enrolled, challenged, enrolled, verify

from identity.crypto.one_time_tokens import new_token
from identity.store.tables import factors as factor_rows
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import resources_pb2 as resources


async def test_OT_08_a_stolen_session_alone_enrols_nothing(service: Running) -> None:
    """Enrolling needs the password, not just a session."""
    signed_in = await service.signed_in()
    begin = factors.BeginTotpEnrollmentRequest(current_password=WRONG_PASSWORD)
    no = await refused(service.factors.BeginTotpEnrollment(begin, metadata=bearer(signed_in.tokens.access_token)))
    assert no.reason == "INVALID_CREDENTIALS"


async def test_OT_08_a_change_needs_the_present_factor_and_ends_other_sessions(service: Running) -> None:
    """With an app enrolled, the password alone changes nothing; with its code other sessions end."""
    person = await enrolled(service)
    remove = factors.RemoveFactorRequest(id=person.factor_id, current_password=PASSWORD)
    no = await refused(service.factors.RemoveFactor(remove, metadata=bearer(person.access_token)))
    assert (no.code, no.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MFA_REQUIRED")

    other = await signed_in_with(service, person)
    service.clock.advance(seconds=60)
    remove.second_factor.totp = person.code(service)
    removed = await service.factors.RemoveFactor(remove, metadata=bearer(person.access_token))
    assert removed.sessions_ended == 1
    assert (await refused(service.get_session(other))).reason == "SESSION_REVOKED"
    listed = await service.factors.ListFactors(factors.ListFactorsRequest(), metadata=bearer(person.access_token))
    assert (len(listed.factors), listed.recovery_codes_left) == (0, 0)


async def test_SE_03_factors_only_change_soon_after_a_sign_in(service: Running) -> None:
    """A day after the sign-in a session may no longer touch factors."""
    signed_in = await service.signed_in()
    service.clock.advance(hours=24, seconds=1)
    refreshed = await service.refresh(signed_in.tokens.refresh_token)
    begin = factors.BeginTotpEnrollmentRequest(current_password=PASSWORD)
    no = await refused(service.factors.BeginTotpEnrollment(begin, metadata=bearer(refreshed.tokens.access_token)))
    assert no.reason == "REAUTHENTICATION_REQUIRED"


async def test_OT_01_the_seed_is_shown_once_and_never_at_rest(service: Running) -> None:
    """The seed has 160 bits, stands encrypted in the database, and no later answer shows it."""
    person = await enrolled(service)
    assert len(person.app.byte_secret()) == 20
    rows = service.rows(select(factor_rows.c.sealed_secret))
    assert all(person.app.secret.encode() not in (row[0] or b"") for row in rows)
    listed = await service.factors.ListFactors(factors.ListFactorsRequest(), metadata=bearer(person.access_token))
    assert person.app.secret not in str(listed)


@pytest.mark.parametrize(("steps", "holds"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_OT_01_one_step_of_drift_and_no_more(service: Running, steps: int, holds: bool) -> None:
    """The present code and its neighbours hold, two steps away is wrong."""
    person = await enrolled(service)
    service.clock.advance(minutes=5)
    answer = verify(await challenged(service, person.email), totp=person.code(service, steps))
    if holds:
        await service.auth.VerifyOtp(answer)
    else:
        assert (await refused(service.auth.VerifyOtp(answer))).reason == "OTP_INVALID"


async def test_OT_02_N_15_a_code_works_once_and_no_older_one_after_it(service: Running) -> None:
    """Of 32 that send one code at once, one gets in; the step before it is dead from then on."""
    person = await enrolled(service)
    service.clock.advance(minutes=5)
    challenges = [await challenged(service, person.email) for _ in range(4)]
    code = person.code(service)
    answers = await asyncio.gather(
        *(service.auth.VerifyOtp(verify(challenges[number % 4], totp=code)) for number in range(32)),
        return_exceptions=True,
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    service.clock.advance(minutes=16)
    older = verify(
        await challenged(service, person.email), totp=person.app.at(service.clock.now - timedelta(minutes=16))
    )
    assert (await refused(service.auth.VerifyOtp(older))).reason == "OTP_INVALID"


async def test_OT_02_the_enrolment_code_is_used_up(service: Running) -> None:
    """The code that switched the app on opens no sign-in."""
    person = await enrolled(service)
    answer = verify(await challenged(service, person.email), totp=person.code(service))
    assert (await refused(service.auth.VerifyOtp(answer))).reason == "OTP_INVALID"


@pytest.mark.parametrize("spelling", ["１２３４５６", "¹²³⁴⁵⁶", " 123456", "12345", "1234567", "12345a"])
async def test_OT_03_only_six_ascii_digits_are_a_code(service: Running, spelling: str) -> None:
    """Any other spelling is a bad request, and costs no try."""
    person = await enrolled(service)
    no = await refused(service.auth.VerifyOtp(verify(await challenged(service, person.email), totp=spelling)))
    assert (no.code, no.reason, no.fields) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", ["totp"])


async def test_OT_05_guesses_share_one_budget_over_all_challenges(service: Running) -> None:
    """Fifty challenges at once give five guesses, not two hundred and fifty; then the right code waits too."""
    person = await enrolled(service)
    service.clock.advance(minutes=5)
    challenges = []
    for _ in range(10):
        challenges.append(await challenged(service, person.email))
        service.clock.advance(seconds=33)
    right = person.code(service)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    guesses = [service.auth.VerifyOtp(verify(token, totp=wrong)) for token in challenges for _ in range(4)]
    answers = await asyncio.gather(*guesses, return_exceptions=True)
    assert all(isinstance(answer, grpc.aio.AioRpcError) for answer in answers)
    blocked = await refused(service.auth.VerifyOtp(verify(challenges[-1], totp=right)))
    assert blocked.reason == "OTP_INVALID"
    service.clock.advance(minutes=16)
    await service.auth.VerifyOtp(verify(await challenged(service, person.email), totp=person.code(service)))


async def test_OT_07_a_recovery_code_works_once(service: Running) -> None:
    """Two that use one recovery code at once: one gets in. New codes kill the old ones."""
    person = await enrolled(service)
    code = person.recovery_codes[0]
    tokens = [await challenged(service, person.email) for _ in range(2)]
    answers = await asyncio.gather(
        *(service.auth.VerifyOtp(verify(token, recovery_code=code.upper())) for token in tokens), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    service.clock.advance(minutes=5)
    renew = factors.RegenerateRecoveryCodesRequest(
        current_password=PASSWORD, second_factor=resources.SecondFactor(totp=person.code(service))
    )
    renewed = await service.factors.RegenerateRecoveryCodes(renew, metadata=bearer(person.access_token))
    assert len(set(renewed.recovery_codes)) == 10
    old = verify(await challenged(service, person.email), recovery_code=person.recovery_codes[1])
    assert (await refused(service.auth.VerifyOtp(old))).reason == "OTP_INVALID"


async def test_LG_07_a_challenge_is_no_bearer_and_dies_with_its_time(service: Running) -> None:
    """The password step yields a challenge that opens nothing but the next step, for ten minutes."""
    person = await enrolled(service)
    token = await challenged(service, person.email)
    assert (await refused(service.get_session(token))).code is grpc.StatusCode.UNAUTHENTICATED
    assert (await refused(service.refresh(token))).reason == "TOKEN_INVALID"
    service.clock.advance(minutes=10)
    late = await refused(service.auth.VerifyOtp(verify(token, totp=person.code(service))))
    assert late.reason == "TOKEN_EXPIRED"


async def test_LG_02_a_sign_in_with_a_code_gives_the_attempts_at_the_password_back(service: Running) -> None:
    """The right password alone does not: whoever has it and no code goes on being counted."""
    person = await enrolled(service)
    service.clock.advance(minutes=1)
    for _ in range(4):
        assert (await refused(service.login(person.email, WRONG_PASSWORD))).reason == "INVALID_CREDENTIALS"
    await service.auth.VerifyOtp(verify(await challenged(service, person.email), totp=person.code(service)))
    for _ in range(4):
        await refused(service.login(person.email, WRONG_PASSWORD))
    await challenged(service, person.email)


async def test_LG_07_a_challenge_that_is_unknown_or_used_is_refused_alike(service: Running) -> None:
    """By every step that takes one, before any code is looked at."""
    person = await enrolled(service)
    service.clock.advance(minutes=1)
    used = await challenged(service, person.email)
    await service.auth.VerifyOtp(verify(used, totp=person.code(service)))
    failed = service.events("code_failed", person.email)
    for token in (used, new_token()):
        for call in (
            service.auth.VerifyOtp(verify(token, totp="123456")),
            service.auth.SendOtp(auth.SendOtpRequest(challenge_token=token)),
            service.auth.SelectTenant(auth.SelectTenantRequest(challenge_token=token, tenant_slug="acme")),
        ):
            no = await refused(call)
            assert (no.reason, no.fields) == ("TOKEN_INVALID", ["challenge_token"])
    assert service.events("code_failed", person.email) == failed


async def test_N_05_a_change_between_the_steps_ends_the_challenge(service: Running) -> None:
    """A password change after the first step leaves nothing to answer."""
    person = await enrolled(service)
    service.clock.advance(minutes=5)
    token = await challenged(service, person.email)
    await service.reset(await service.reset_token(person.email))
    no = await refused(service.auth.VerifyOtp(verify(token, totp=person.code(service))))
    assert no.reason in ("TOKEN_INVALID", "TOKEN_EXPIRED")


async def test_OT_06_mailed_codes_are_off_beside_an_app(service: Running) -> None:
    """Who has an app cannot switch the weaker factor on, and gets no code by mail for a sign-in."""
    person = await enrolled(service)
    service.clock.advance(minutes=5)
    switch = factors.SetEmailOtpRequest(
        enabled=True, current_password=PASSWORD, second_factor=resources.SecondFactor(totp=person.code(service))
    )
    no = await refused(service.factors.SetEmailOtp(switch, metadata=bearer(person.access_token)))
    assert no.reason == "FACTOR_NOT_ALLOWED"
    token = await challenged(service, person.email)
    mailed = await refused(service.auth.VerifyOtp(verify(token, email_code="123456")))
    assert mailed.reason == "OTP_INVALID"


async def test_OT_04_a_mailed_code_dies_by_resending_by_time_and_by_five_tries(service: Running) -> None:
    """Only the newest code of the same challenge holds, for ten minutes, within five tries."""
    email = await service.verified()
    session = await service.login(email)
    await service.factors.SetEmailOtp(
        factors.SetEmailOtpRequest(enabled=True, current_password=PASSWORD),
        metadata=bearer(session.tokens.access_token),
    )
    first = await challenged(service, email)
    old = await service.mailbox.alone(email, "[0-9]{6}", 1)
    service.clock.advance(seconds=61)
    await service.auth.SendOtp(auth.SendOtpRequest(challenge_token=first))
    new = await service.mailbox.alone(email, "[0-9]{6}", 2)
    if old != new:
        assert (await refused(service.auth.VerifyOtp(verify(first, email_code=old)))).reason == "OTP_INVALID"
    service.clock.advance(seconds=61)
    second = await challenged(service, email)
    assert (await refused(service.auth.VerifyOtp(verify(second, email_code=new)))).reason == "OTP_INVALID"
    await service.auth.VerifyOtp(verify(first, email_code=new))

    service.clock.advance(minutes=11)
    third = await challenged(service, email)
    code = await service.mailbox.alone(email, "[0-9]{6}", 4)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    for _ in range(5):
        assert (await refused(service.auth.VerifyOtp(verify(third, email_code=wrong)))).reason == "OTP_INVALID"
    assert (await refused(service.auth.VerifyOtp(verify(third, email_code=code)))).reason == "OTP_EXPIRED"


async def test_OT_08_mailed_codes_are_switched_off_as_they_are_switched_on(service: Running) -> None:
    """With a code of their own; the recovery codes go with the last factor, and repeating either changes nothing."""
    email = await service.verified()
    metadata = bearer((await service.login(email)).tokens.access_token)
    switch = factors.SetEmailOtpRequest(enabled=False, current_password=PASSWORD)
    assert not (await service.factors.SetEmailOtp(switch, metadata=metadata)).HasField("factor")
    switch.enabled = True
    assert len((await service.factors.SetEmailOtp(switch, metadata=metadata)).recovery_codes) == 10
    other = verify(await challenged(service, email), email_code=await service.mailbox.alone(email, "[0-9]{6}", 1))
    access_token = (await service.auth.VerifyOtp(other)).session.tokens.access_token
    switch.second_factor.email_code = other.email_code
    assert (await refused(service.factors.SetEmailOtp(switch, metadata=metadata))).reason == "OTP_INVALID"
    service.clock.advance(seconds=61)
    await service.factors.SendFactorCode(factors.SendFactorCodeRequest(), metadata=metadata)
    switch.second_factor.email_code = await service.mailbox.alone(email, "[0-9]{6}", 2)
    switch.enabled = False

    off = await service.factors.SetEmailOtp(switch, metadata=metadata)

    assert (off.HasField("factor"), off.sessions_ended) == (False, 1)
    assert (await refused(service.get_session(access_token))).reason == "SESSION_REVOKED"
    listed = await service.factors.ListFactors(factors.ListFactorsRequest(), metadata=metadata)
    assert (len(listed.factors), listed.recovery_codes_left) == (0, 0)


async def test_OT_08_one_of_two_factors_goes_and_the_other_keeps_its_recovery_codes(service: Running) -> None:
    """A factor that is not there cannot be removed, and costs nobody theirs."""
    email = await service.verified()
    metadata = bearer((await service.login(email)).tokens.access_token)
    switch = factors.SetEmailOtpRequest(enabled=True, current_password=PASSWORD)
    mail = await service.factors.SetEmailOtp(switch, metadata=metadata)
    code = resources.SecondFactor(recovery_code=mail.recovery_codes[0])
    begin = factors.BeginTotpEnrollmentRequest(current_password=PASSWORD, second_factor=code)
    begun = await service.factors.BeginTotpEnrollment(begin, metadata=metadata)
    app = pyotp.TOTP(begun.secret)
    confirm = factors.ConfirmTotpEnrollmentRequest(
        enrollment_token=begun.enrollment_token, code=app.at(service.clock.now)
    )
    stranger = bearer((await service.signed_in()).tokens.access_token)
    no = await refused(service.factors.ConfirmTotpEnrollment(confirm, metadata=stranger))
    assert (no.reason, no.fields) == ("TOKEN_INVALID", ["enrollment_token"])
    confirmed = await service.factors.ConfirmTotpEnrollment(confirm, metadata=metadata)

    service.clock.advance(minutes=1)
    remove = factors.RemoveFactorRequest(id=str(uuid4()), current_password=PASSWORD)
    remove.second_factor.totp = app.at(service.clock.now)
    assert (await refused(service.factors.RemoveFactor(remove, metadata=metadata))).reason == "NOT_FOUND"
    service.clock.advance(minutes=1)
    remove.id = mail.factor.id
    remove.second_factor.totp = app.at(service.clock.now)
    await service.factors.RemoveFactor(remove, metadata=metadata)

    listed = await service.factors.ListFactors(factors.ListFactorsRequest(), metadata=metadata)
    assert [factor.id for factor in listed.factors] == [confirmed.factor.id]
    assert listed.recovery_codes_left > 0


async def test_OT_06_codes_go_to_no_address_that_nobody_has_proven(launch: Launch) -> None:
    """Where people sign in before the proof, the factor waits for it, and so does what they are invited to."""
    service = await launch(policy={"verified_email_to_sign_in": False})
    owner = await company(service)
    email = await service.registered()
    metadata = bearer((await service.login(email)).tokens.access_token)
    switch = factors.SetEmailOtpRequest(enabled=True, current_password=PASSWORD)
    assert (await refused(service.factors.SetEmailOtp(switch, metadata=metadata))).reason == "EMAIL_NOT_VERIFIED"
    service.clock.advance(seconds=61)
    await service.invites.CreateInvite(
        invites.CreateInviteRequest(email=email, role="user", locale="en"), metadata=owner.metadata
    )
    join = invites.AcceptInviteRequest(token=await service.mailbox.token(email, subject="invited"))
    assert (await refused(service.invites.AcceptInvite(join, metadata=metadata))).reason == "SIGN_IN_REQUIRED"


async def signed_in_with(service: Running, person: Enrolled) -> str:
    """The access token of a whole sign-in with the app."""
    service.clock.advance(seconds=60)
    answer = verify(await challenged(service, person.email), totp=person.code(service))
    return str((await service.auth.VerifyOtp(answer)).session.tokens.access_token)
