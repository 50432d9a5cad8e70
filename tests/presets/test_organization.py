"""The organization product over gRPC, its document from top to bottom."""

from __future__ import annotations

from typing import Any

import grpc
from tests.conftest import Launch
from tests.running import Running, new_email, refused

from identity_pb.v1 import auth_service_pb2 as auth

COMPANY: dict[str, Any] = {"tenant_name": "My Company", "first_name": "John", "last_name": "Doe"}
PASSWORD = "securepassword123"


async def test_the_document_from_top_to_bottom(launch: Launch) -> None:
    """Register an organization, prove the address, sign in, read the session, sign out, and reset the password."""
    service = await launch(preset="organization")
    email = new_email()
    registered = await service.auth.Register(auth.RegisterRequest(email=email, password=PASSWORD, **COMPANY))
    assert (registered.account.first_name, registered.account.last_name) == ("John", "Doe")
    assert (registered.tenant.slug, registered.tenant.kind) == ("my-company", "organization")
    assert registered.email_verification_sent and not registered.HasField("session")

    early = await refused(service.auth.Login(auth.LoginRequest(identifier=email, password=PASSWORD)))
    assert early.reason == "EMAIL_NOT_VERIFIED"
    service.clock.advance(minutes=2)
    await service.auth.ResendVerification(auth.ResendVerificationRequest(email=email))
    await service.auth.VerifyEmail(auth.VerifyEmailRequest(token=await service.mailbox.token(email, 2)))

    signed_in = await service.login(email, PASSWORD)
    me = await service.get_session(signed_in.tokens.access_token)
    assert (me.account.name, me.tenant.id, me.membership.role.key) == ("John Doe", registered.tenant.id, "admin")
    assert me.HasField("expires_at")
    await service.sign_out(signed_in.tokens.access_token)
    assert (await refused(service.get_session(signed_in.tokens.access_token))).reason == "SESSION_REVOKED"

    await service.reset(await service.reset_token(email), "newSecurePassword123")
    await service.login(email, "newSecurePassword123")


async def test_Z_06_short_passwords_get_the_documented_refusal(launch: Launch) -> None:
    """The document's six characters are below the floor: 400, as it has for a bad password."""
    service = await launch(preset="organization")
    short = await refused(service.auth.Register(auth.RegisterRequest(email=new_email(), password="secret1", **COMPANY)))
    assert (short.code, short.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PASSWORD_TOO_SHORT")


async def test_Z_24_a_taken_address_gets_the_same_answer(launch: Launch) -> None:
    """Nobody learns from registering who has an account: the answer has the same shape, with made-up ids."""
    service = await launch(preset="organization")
    email = new_email()
    first = await _register(service, email)
    second = await _register(service, email)
    assert _shape(first) == _shape(second)
    assert (first.account.id, first.tenant.id) != (second.account.id, second.tenant.id)


async def _register(service: Running, email: str) -> auth.RegisterResponse:
    response: auth.RegisterResponse = await service.auth.Register(
        auth.RegisterRequest(email=email, password=PASSWORD, **COMPANY)
    )
    return response


def _shape(response: auth.RegisterResponse) -> list[str]:
    return [
        f"{prefix}.{field.name}"
        for prefix, message in (("account", response.account), ("tenant", response.tenant))
        for field, _ in message.ListFields()
    ]
