"""The tenant product over gRPC, its document from top to bottom."""

from __future__ import annotations

from typing import Any

import grpc
from tests.conftest import Launch
from tests.running import bearer, new_email, refused

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import invite_service_pb2 as invites

SECURE = "SecurePass123!"


async def test_the_document_from_top_to_bottom(launch: Launch) -> None:
    """Register a company, sign in by slug, read oneself, refresh, invite, accept, reset and change the password."""
    service = await launch(preset="tenant")
    email = new_email()
    company: dict[str, Any] = {"tenant_name": "Acme Corporation", "first_name": "John", "last_name": "Doe"}

    registered = await service.auth.Register(auth.RegisterRequest(email=email, password=SECURE, **company))
    assert registered.session.tokens.access_token and registered.session.tokens.refresh_token
    assert (registered.tenant.slug, registered.tenant.name) == ("acme-corporation", "Acme Corporation")
    assert (registered.session.membership.role.key, registered.session.membership.role.level) == ("admin", 100)

    again = await refused(
        service.auth.Register(auth.RegisterRequest(email=new_email(), password=SECURE, tenant_name="Acme Corporation"))
    )
    assert (again.code, again.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALREADY_REGISTERED")
    again = await refused(
        service.auth.Register(auth.RegisterRequest(email=email, password=SECURE, tenant_name="Other"))
    )
    assert again.reason == "ALREADY_REGISTERED"

    elsewhere = await refused(
        service.auth.Login(auth.LoginRequest(identifier=email, password=SECURE, tenant_slug="nowhere"))
    )
    assert elsewhere.reason == "INVALID_CREDENTIALS"
    john = await service.login(email, SECURE, tenant_slug="acme-corporation")
    me = await service.get_session(john.tokens.access_token)
    assert dict(me.membership.role.permissions["leads"].actions) == dict.fromkeys(
        ("view", "create", "edit", "delete"), True
    )
    assert me.tenant.slug == "acme-corporation"

    refreshed = await service.refresh(john.tokens.refresh_token)
    bearer_token = bearer(refreshed.tokens.access_token)
    jane = new_email()
    early = await refused(
        service.invites.CreateInvite(invites.CreateInviteRequest(email=jane, role="user"), metadata=bearer_token)
    )
    assert early.reason == "EMAIL_NOT_VERIFIED"
    await service.auth.VerifyEmail(auth.VerifyEmailRequest(token=await service.mailbox.token(email)))
    await service.invites.CreateInvite(invites.CreateInviteRequest(email=jane, role="user"), metadata=bearer_token)
    token = await service.mailbox.token(jane)
    seen = await service.invites.ValidateInvite(invites.ValidateInviteRequest(token=token))
    assert (seen.valid, seen.email, seen.tenant_name) == (True, jane, "Acme Corporation")
    assert (seen.invited_by, seen.role_name) == ("John Doe", "User")

    accepted = await service.invites.AcceptInvite(
        invites.AcceptInviteRequest(token=token, password=SECURE, first_name="Jane", last_name="Smith")
    )
    assert accepted.session.account.email == jane
    assert (accepted.session.membership.role.key, accepted.session.membership.role.level) == ("user", 10)
    used = await refused(service.invites.ValidateInvite(invites.ValidateInviteRequest(token=token)))
    assert (used.code, used.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INVITE_USED")
    unknown = await refused(service.invites.ValidateInvite(invites.ValidateInviteRequest(token="abc123def456")))
    assert unknown.code is grpc.StatusCode.NOT_FOUND

    service.clock.advance(minutes=2)
    await service.auth.RequestPasswordReset(
        auth.RequestPasswordResetRequest(identifier=jane, tenant_slug="acme-corporation")
    )
    reset = await service.mailbox.token(jane, 2)
    valid = await service.auth.ValidatePasswordReset(auth.ValidatePasswordResetRequest(token=reset))
    assert (valid.valid, valid.email) == (True, jane)
    await service.reset(reset, "NewSecurePass456!")
    signed_in = await service.login(jane, "NewSecurePass456!")

    wrong = await refused(service.change_password(signed_in.tokens.access_token, SECURE, "NewPassword456!"))
    assert wrong.code is grpc.StatusCode.UNAUTHENTICATED
    weak = await refused(service.change_password(signed_in.tokens.access_token, "NewSecurePass456!", "short"))
    assert weak.code is grpc.StatusCode.INVALID_ARGUMENT
    await service.change_password(signed_in.tokens.access_token, "NewSecurePass456!", "NewPassword456!")
