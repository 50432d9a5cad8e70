"""Somebody with an authenticator app, as many tests need one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyotp
from tests.running import PASSWORD, Metadata, Running, bearer

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors


@dataclass
class Enrolled:
    """Somebody with an authenticator app."""

    email: str
    access_token: str
    app: pyotp.TOTP
    recovery_codes: list[str]
    factor_id: str

    @property
    def metadata(self) -> Metadata:
        return bearer(self.access_token)

    def code(self, service: Running, steps: int = 0) -> str:
        return self.app.at(service.clock.now, counter_offset=steps)


async def enrolled(service: Running, email: str | None = None, access_token: str = "") -> Enrolled:
    """Somebody who has just switched an app on: a new person, or the holder of an access token."""
    email = email or await service.verified()
    token = access_token or (await service.login(email)).tokens.access_token
    begun = await service.factors.BeginTotpEnrollment(
        factors.BeginTotpEnrollmentRequest(current_password=PASSWORD), metadata=bearer(token)
    )
    app = pyotp.TOTP(begun.secret)
    confirm = factors.ConfirmTotpEnrollmentRequest(
        enrollment_token=begun.enrollment_token, code=app.at(service.clock.now)
    )
    confirmed = await service.factors.ConfirmTotpEnrollment(confirm, metadata=bearer(token))
    return Enrolled(email, token, app, list(confirmed.recovery_codes), confirmed.factor.id)


async def challenged(service: Running, email: str, **fields: Any) -> str:
    """The challenge of somebody whose password was right."""
    response = await service.auth.Login(auth.LoginRequest(identifier=email, password=PASSWORD, **fields))
    assert response.WhichOneof("result") == "mfa_challenge"
    return str(response.mfa_challenge.challenge_token)


def verify(token: str, **code: Any) -> auth.VerifyOtpRequest:
    return auth.VerifyOtpRequest(challenge_token=token, **code)
