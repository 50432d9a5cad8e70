"""The merchant product over gRPC, its document from top to bottom."""

from __future__ import annotations

import grpc
import pyotp
import pytest
from tests.conftest import Launch
from tests.running import Running, bearer, new_email, refused

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import resources_pb2 as resources

PASSWORD = "Commerce-2026"
OTHER = "Commerce-2027"


async def test_the_document_from_top_to_bottom(launch: Launch) -> None:
    """Register a manager, sign in with a mailed code, move to an app, refresh, reset the password, and sign out."""
    service = await launch(preset="merchant")
    email = new_email()
    registered = await service.auth.Register(
        auth.RegisterRequest(
            email=email,
            password=PASSWORD,
            first_name="Marie",
            last_name="Curie",
            role="manager",
            tenant_name="Radium SA",
            phone="06 12 34 56 78",
            phone_country="FR",
            locale="fr",
            origin=resources.ORIGIN_DASHBOARD,
        )
    )
    assert (registered.account.phone, registered.account.locale) == ("+33612345678", "fr")
    assert (registered.tenant.kind, registered.account.two_factor_enabled) == ("company", True)

    challenge = await _challenged(service, email)
    assert list(challenge.factors) == [resources.FACTOR_TYPE_EMAIL_OTP, resources.FACTOR_TYPE_RECOVERY_CODE]
    as_bearer = await refused(service.get_session(challenge.challenge_token))
    assert as_bearer.reason == "UNAUTHENTICATED"
    service.clock.advance(seconds=61)
    await service.auth.SendOtp(auth.SendOtpRequest(challenge_token=challenge.challenge_token, email=email))
    code = await service.mailbox.alone(email, "[0-9]{6}", 2)
    verified = await service.auth.VerifyOtp(
        auth.VerifyOtpRequest(challenge_token=challenge.challenge_token, email_code=code)
    )
    tokens = verified.session.tokens

    again = auth.VerifyOtpRequest(challenge_token=challenge.challenge_token, email_code=code)
    assert (await refused(service.auth.VerifyOtp(again))).reason == "TOKEN_INVALID"

    app = await _enrol(service, tokens.access_token, email)
    challenge = await _challenged(service, email)
    assert list(challenge.factors) == [resources.FACTOR_TYPE_TOTP, resources.FACTOR_TYPE_RECOVERY_CODE]
    service.clock.advance(seconds=60)
    finished = await service.auth.VerifyOtp(
        auth.VerifyOtpRequest(challenge_token=challenge.challenge_token, totp=app.at(service.clock.now))
    )
    assert list(finished.session.session.amr) == ["pwd", "otp", "mfa"]
    refreshed = await service.refresh(finished.session.tokens.refresh_token)

    service.clock.advance(minutes=2)
    await service.auth.RequestPasswordReset(auth.RequestPasswordResetRequest(identifier=email))
    await service.reset(await service.mailbox.token(email, subject="mot de passe"), OTHER)
    assert (await refused(service.refresh(refreshed.tokens.refresh_token))).reason == "SESSION_REVOKED"
    assert (await _challenged(service, email, OTHER)).factors, "a reset leaves the second factor on (RC-05)"


@pytest.mark.parametrize("role", ["super_manager", "super_admin", "cashier", "observer", "nobody"])
async def test_Z_15_privileged_roles_are_only_given(launch: Launch, role: str) -> None:
    """Nobody registers with a role above their due, whatever the document's list says (AZ-05)."""
    service = await launch(preset="merchant")
    wish = auth.RegisterRequest(email=new_email(), password=PASSWORD, role=role, tenant_name="Radium SA")
    no = await refused(service.auth.Register(wish))
    assert (no.code, no.reason, no.fields) == (grpc.StatusCode.INVALID_ARGUMENT, "ROLE_NOT_ALLOWED", ["role"])


@pytest.mark.parametrize("password", ["alllowercase1!", "ALLUPPERCASE1!", "NoDigitsHere!!", "NoSpecials2026"])
async def test_Z_06_composition_is_asked_for_after_the_floor(launch: Launch, password: str) -> None:
    """The product's own rules hold beside the length: an upper-case and a lower-case letter, a digit, a special."""
    service = await launch(preset="merchant")
    no = await refused(service.auth.Register(auth.RegisterRequest(email=new_email(), password=password)))
    assert no.reason == "PASSWORD_COMPOSITION"


async def _challenged(service: Running, email: str, password: str = PASSWORD) -> resources.MfaChallenge:
    response = await service.auth.Login(auth.LoginRequest(identifier=email, password=password))
    assert response.WhichOneof("result") == "mfa_challenge"
    challenge: resources.MfaChallenge = response.mfa_challenge
    return challenge


async def _enrol(service: Running, access_token: str, email: str) -> pyotp.TOTP:
    """An authenticator app for a manager, proven with a mailed code."""
    calls, clock, mailbox = service.factors, service.clock, service.mailbox
    metadata = bearer(access_token)
    clock.advance(seconds=61)
    await calls.SendFactorCode(factors.SendFactorCodeRequest(), metadata=metadata)
    code = await mailbox.alone(email, "[0-9]{6}", 3)
    begun = await calls.BeginTotpEnrollment(
        factors.BeginTotpEnrollmentRequest(
            current_password=PASSWORD, second_factor=resources.SecondFactor(email_code=code)
        ),
        metadata=metadata,
    )
    app = pyotp.TOTP(begun.secret)
    assert begun.qr_code_svg.startswith("<?xml") and begun.qr_code_png.startswith(b"\x89PNG")
    confirmed = await calls.ConfirmTotpEnrollment(
        factors.ConfirmTotpEnrollmentRequest(enrollment_token=begun.enrollment_token, code=app.at(clock.now)),
        metadata=metadata,
    )
    assert len(confirmed.recovery_codes) == 10
    return app
