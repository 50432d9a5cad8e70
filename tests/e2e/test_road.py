"""The whole road: a stranger becomes somebody, comes and goes, and forgets the password."""

from __future__ import annotations

import grpc
from tests.running import PASSWORD, Running, bearer, new_email, refused

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import session_service_pb2 as sessions


async def test_road(service: Running) -> None:
    """Register, prove the address, sign in, refresh, read the session, reset the password, sign out."""
    email = new_email()

    registered = await service.auth.Register(
        auth.RegisterRequest(email=email, password=PASSWORD, first_name="Ada", last_name="Lovelace")
    )
    assert registered.account.email == email
    assert registered.account.name == "Ada Lovelace"
    assert registered.email_verification_sent
    assert not registered.HasField("session")

    early = await refused(service.auth.Login(auth.LoginRequest(identifier=email, password=PASSWORD)))
    assert early.reason == "EMAIL_NOT_VERIFIED"

    token = await service.mailbox.token(email)
    verified = await service.auth.VerifyEmail(auth.VerifyEmailRequest(token=token))
    assert verified.email == email

    signed_in = await service.login(email)
    assert signed_in.account.sign_ins.count == 1
    assert signed_in.tokens.token_type == "Bearer"

    refreshed = await service.refresh(signed_in.tokens.refresh_token)
    assert refreshed.tokens.refresh_token != signed_in.tokens.refresh_token
    assert not refreshed.reused
    again = await service.refresh(signed_in.tokens.refresh_token)
    assert again.reused
    assert again.tokens.refresh_token == refreshed.tokens.refresh_token

    read = await service.get_session(refreshed.tokens.access_token)
    assert read.account.id == registered.account.id
    assert read.session.id == signed_in.session.id

    service.clock.advance(minutes=2)
    await service.auth.RequestPasswordReset(auth.RequestPasswordResetRequest(identifier=email))
    reset = await service.mailbox.token(email, 2)
    valid = await service.auth.ValidatePasswordReset(auth.ValidatePasswordResetRequest(token=reset))
    assert valid.valid and valid.email == email
    other = "another horse battery staple"
    await service.auth.ResetPassword(auth.ResetPasswordRequest(token=reset, new_password=other))

    ended = await refused(service.get_session(refreshed.tokens.access_token))
    assert (ended.code, ended.reason) == (grpc.StatusCode.UNAUTHENTICATED, "SESSION_REVOKED")
    ended = await refused(service.refresh(refreshed.tokens.refresh_token))
    assert ended.reason == "SESSION_REVOKED"

    signed_in = await service.login(email, other)
    changed = await service.auth.ChangePassword(
        auth.ChangePasswordRequest(current_password=other, new_password=PASSWORD),
        metadata=bearer(signed_in.tokens.access_token),
    )
    assert changed.sessions_ended == 0
    await service.get_session(signed_in.tokens.access_token)

    await service.sessions.SignOut(sessions.SignOutRequest(), metadata=bearer(signed_in.tokens.access_token))
    ended = await refused(service.get_session(signed_in.tokens.access_token))
    assert ended.reason == "SESSION_REVOKED"
    await service.mailbox.wait(email, 4)
