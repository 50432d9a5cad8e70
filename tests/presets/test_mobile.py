"""The mobile product over gRPC, its document from top to bottom."""

from __future__ import annotations

import base64
import json

from tests.conftest import Launch
from tests.running import bearer, new_email, refused

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import resources_pb2 as resources

PASSWORD = "un mot de passe"
DEVICE = resources.Device(type="Mobile", name="SAMSUNG GALAXY A13", os="Android", fingerprint="HJJKJ6-BKJLOI-12")


async def test_the_document_from_top_to_bottom(launch: Launch) -> None:
    """Sign in on a device, switch codes on, and sign in with one, nothing kept in between (Z-10, Z-11)."""
    service = await launch(preset="mobile")
    email = await service.verified(new_email(), PASSWORD)

    signed_in = await service.login(email, PASSWORD, device=DEVICE)
    account = signed_in.account
    assert (account.number, account.sign_ins.count, account.two_factor_enabled) == (1, 1, False)
    assert account.provider == "local"
    claims = _claims(signed_in.tokens.access_token)
    assert (claims["account_id"], claims["device_id"]) == (account.number, signed_in.session.number)
    assert claims["session_uuid"] == signed_in.session.id
    renewed = await service.refresh(signed_in.tokens.refresh_token)
    assert _claims(renewed.tokens.access_token)["account_id"] == account.number

    switched = await service.factors.SetEmailOtp(
        factors.SetEmailOtpRequest(enabled=True, current_password=PASSWORD),
        metadata=bearer(renewed.tokens.access_token),
    )
    assert len(switched.recovery_codes) == 10

    nobody = await service.auth.SendOtp(auth.SendOtpRequest(identifier=email))
    challenged = await service.auth.Login(auth.LoginRequest(identifier=email, password=PASSWORD, device=DEVICE))
    assert challenged.WhichOneof("result") == "mfa_challenge"
    assert challenged.mfa_challenge.code_sent
    service.clock.advance(seconds=61)
    assert await service.auth.SendOtp(auth.SendOtpRequest(identifier=email)) == nobody
    code = await service.mailbox.alone(email, "[0-9]{6}", 2)

    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    failed = await refused(service.auth.VerifyOtp(_verify(email, PASSWORD, wrong)))
    assert failed.reason == "INVALID_CREDENTIALS"
    failed = await refused(service.auth.VerifyOtp(_verify(email, PASSWORD + "!", code)))
    assert failed.reason == "INVALID_CREDENTIALS"
    finished = await service.auth.VerifyOtp(_verify(email, PASSWORD, code))
    assert finished.session.account.two_factor_enabled
    assert list(finished.session.session.amr) == ["pwd", "email"]
    replayed = await refused(service.auth.VerifyOtp(_verify(email, PASSWORD, code)))
    assert replayed.reason == "INVALID_CREDENTIALS"


def _verify(email: str, password: str, otp: str) -> auth.VerifyOtpRequest:
    credentials = auth.OtpCredentials(identifier=email, password=password, device=DEVICE)
    return auth.VerifyOtpRequest(credentials=credentials, otp=otp)


def _claims(token: str) -> dict[str, object]:
    payload = token.split(".")[1]
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
