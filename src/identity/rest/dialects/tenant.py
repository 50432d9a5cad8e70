"""The tenant product: companies that register, sign in by their slug, and invite their people."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from identity.rest.dialect import Dialect, Operation, Parameter, alike, reply
from identity.rest.dialects import tenant_shapes as shapes
from identity.rest.exchange import Exchange
from identity.rest.refusals import PERMISSION_DENIED, Refusal, Violation, invalid, malformed
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions

ACTIONS: Final = ("view", "create", "edit", "delete")
"""The order in which the document has the actions of a permission; others follow."""


# Becoming somebody.


async def _register(exchange: Exchange, body: shapes.Registration) -> Response:
    request = auth.RegisterRequest(
        email=body.email,
        password=body.password,
        tenant_name=body.company_name,
        first_name=body.first_name,
        last_name=body.last_name,
        remember=True,
    )
    answer = await exchange.call(exchange.upstream.auth.Register, request)
    tenant, tokens = answer.tenant, answer.session.tokens
    registered = shapes.Registered(
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token,
        user=shapes.Person(**_person(answer.account, answer.session.membership)),
        tenant=shapes.NewTenant(id=tenant.id, slug=tenant.slug, company_name=tenant.name),
    )
    return reply(registered, 201)


async def _login(exchange: Exchange, body: shapes.Login) -> Response:
    request = auth.LoginRequest(
        identifier=body.email, password=body.password, tenant_slug=body.tenant_slug or None, remember=True
    )
    answer = await exchange.call(exchange.upstream.auth.Login, request)
    match answer.WhichOneof("result"):
        case "tenant_choice":
            slugs = ", ".join(option.slug for option in answer.tenant_choice.tenants)
            text = f"This account belongs to several companies. Say which one: {slugs}."
            raise invalid(text, Violation("tenantSlug", text, "REQUIRED"))
        case "mfa_challenge":
            raise _needs_code()
        case how_far:
            result = getattr(answer, str(how_far))
    signed_in = shapes.SignedIn(
        access_token=result.tokens.access_token,
        refresh_token=result.tokens.refresh_token or None,
        user=shapes.User(**_user(result.account, result.membership)),
    )
    return reply(signed_in)


async def _refresh(exchange: Exchange, body: shapes.Refresh) -> Response:
    request = sessions.RefreshSessionRequest(refresh_token=body.refresh_token)
    tokens = (await exchange.call(exchange.upstream.sessions.RefreshSession, request)).tokens
    return reply(shapes.Tokens(access_token=tokens.access_token, refresh_token=tokens.refresh_token))


async def _me(exchange: Exchange, _: None) -> Response:
    answer = await exchange.call(exchange.upstream.sessions.GetSession, sessions.GetSessionRequest())
    tenant = shapes.TenantName(slug=answer.tenant.slug, company_name=answer.tenant.name)
    me = shapes.Me(
        **_user(answer.account, answer.membership),
        permissions=_permissions(answer.membership.role),
        tenant=tenant if answer.HasField("tenant") else None,
    )
    return reply(me)


def _person(account: resources.Account, membership: resources.Membership) -> dict[str, Any]:
    return {
        "id": account.id,
        "email": account.email,
        "first_name": account.first_name,
        "last_name": account.last_name,
        "role": membership.role.key,
        "role_level": membership.role.level,
    }


def _user(account: resources.Account, membership: resources.Membership) -> dict[str, Any]:
    return {
        **_person(account, membership),
        "avatar": account.avatar_url or None,
        "department_id": membership.department_id or None,
        "team_ids": list(membership.team_ids),
    }


def _permissions(role: resources.Role) -> dict[str, dict[str, bool]]:
    def place(action: str) -> tuple[int, str]:
        return ACTIONS.index(action) if action in ACTIONS else len(ACTIONS), action

    return {
        resource: {action: role.permissions[resource].actions[action] for action in sorted(actions.actions, key=place)}
        for resource, actions in sorted(role.permissions.items())
    }


def _needs_code() -> Refusal:
    """The document knows no second factor, and one that is on is never skipped (LG-07)."""
    text = "This account has a second factor: sign in at POST /v1/login."
    return Refusal(PERMISSION_DENIED, text, reason="MFA_REQUIRED")


# Invitations.


async def _validate_invite(exchange: Exchange, _: None) -> Response:
    request = invites.ValidateInviteRequest(token=_token(exchange))
    answer = await exchange.call(exchange.upstream.invites.ValidateInvite, request)
    invitation = shapes.Invitation(
        valid=True,
        email=answer.email,
        tenant_name=answer.tenant_name,
        invited_by=answer.invited_by,
        role_name=answer.role_name,
    )
    return reply(invitation)


async def _accept_invite(exchange: Exchange, body: shapes.Acceptance) -> Response:
    request = invites.AcceptInviteRequest(
        token=body.token,
        password=body.password or None,
        first_name=body.first_name,
        last_name=body.last_name,
        remember=True,
    )
    accept = exchange.upstream.invites.AcceptInvite
    try:
        # The document's call is for anybody: whoever else is signed in at this browser does not stand in the way.
        answer = await exchange.call(accept, request, bearer="")
    except Refusal as refusal:
        if refusal.reason != "SIGN_IN_REQUIRED" or exchange.bearer is None:
            raise
        answer = await exchange.call(accept, request)
    if answer.WhichOneof("result") == "mfa_challenge":
        raise _needs_code()
    session = answer.session
    accepted = shapes.Accepted(
        access_token=session.tokens.access_token,
        refresh_token=session.tokens.refresh_token,
        user=shapes.Person(**_person(session.account, session.membership)),
    )
    return reply(accepted, 201)


def _token(exchange: Exchange) -> str:
    token = exchange.parameter("token")
    if not token:
        raise malformed("token", "The token of the mail is missing.", "REQUIRED")
    return token


# Passwords.


async def _forgot_password(exchange: Exchange, body: shapes.ForgottenPassword) -> Response:
    request = auth.RequestPasswordResetRequest(identifier=body.email, tenant_slug=body.tenant_slug or None)
    await alike(exchange.call(exchange.upstream.auth.RequestPasswordReset, request, bearer=""))
    return reply(shapes.Done(message="If the email exists, a reset link has been sent."))


async def _validate_reset(exchange: Exchange, _: None) -> Response:
    request = auth.ValidatePasswordResetRequest(token=_token(exchange))
    answer = await exchange.call(exchange.upstream.auth.ValidatePasswordReset, request)
    return reply(shapes.ResetLink(valid=True, email=answer.email))


async def _reset_password(exchange: Exchange, body: shapes.PasswordReset) -> Response:
    request = auth.ResetPasswordRequest(token=body.token, new_password=body.new_password)
    await exchange.call(exchange.upstream.auth.ResetPassword, request)
    return reply(shapes.Done(message="Password reset successfully"))


async def _change_password(exchange: Exchange, body: shapes.PasswordChange) -> Response:
    request = auth.ChangePasswordRequest(current_password=body.current_password, new_password=body.new_password)
    await exchange.call(exchange.upstream.auth.ChangePassword, request)
    return reply(shapes.Done(message="Password changed successfully"))


_INVALID: Final = "Invalid input (weak password, missing fields)"
_CREDENTIALS: Final = "Invalid credentials"
_NO_TENANT: Final = "Tenant not found"
_SECOND_FACTOR: Final = "Locked, or with a second factor"
_TAKEN: Final = "Email or company name already exists"
_EXPIRED: Final = "Invalid or expired refresh token"
_NO_TOKEN: Final = "Missing, invalid or expired access token"
_WRONG: Final = "Current password is incorrect"
_USED: Final = "Token expired or already used"
_UNKNOWN: Final = "Invalid token"
_WORDS_OF_LINKS: Final = {
    **dict.fromkeys(("LINK_EXPIRED", "LINK_USED", "INVITE_EXPIRED", "INVITE_USED"), _USED),
    **dict.fromkeys(("LINK_NOT_FOUND", "INVITE_NOT_FOUND"), _UNKNOWN),
}
_NAMES: Final = {
    "identifier": "email",
    "tenant_slug": "tenantSlug",
    "tenant_name": "companyName",
    "first_name": "firstName",
    "last_name": "lastName",
    "refresh_token": "refreshToken",
    "current_password": "currentPassword",
    "new_password": "newPassword",
}
_LINK: Final = Parameter("token", "query", "The token of the mail; looking at it does not use it up.", required=True)

DIALECT = Dialect(
    name="tenant",
    title="Tenant",
    about="Authentication: companies with their people, invitations, sessions and passwords.",
    refuse=shapes.refuse,
    failure=shapes.Failure,
    operations=(
        Operation(
            "POST", "/auth/register", _register, "Create a new tenant and admin user",
            body=shapes.Registration, answers={201: shapes.Registered, 400: _INVALID, 409: _TAKEN},
            names=_NAMES, words={"ALREADY_REGISTERED": _TAKEN},
        ),
        Operation(
            "POST", "/auth/login", _login, "Authenticate and receive JWT tokens",
            body=shapes.Login,
            answers={
                200: shapes.SignedIn, 400: _INVALID, 401: _CREDENTIALS, 403: _SECOND_FACTOR, 404: _NO_TENANT,
            },
            names=_NAMES, words={"INVALID_CREDENTIALS": _CREDENTIALS, "TENANT_NOT_FOUND": _NO_TENANT},
        ),
        Operation(
            "GET", "/auth/me", _me, "Get current authenticated user info",
            answers={200: shapes.Me, 401: _NO_TOKEN}, credential="bearer",
        ),
        Operation(
            "POST", "/auth/refresh", _refresh, "Exchange a refresh token for new access and refresh tokens",
            body=shapes.Refresh, answers={200: shapes.Tokens, 400: _INVALID, 401: _EXPIRED},
            names=_NAMES,
            words=dict.fromkeys(("TOKEN_INVALID", "TOKEN_EXPIRED", "TOKEN_REUSED", "SESSION_REVOKED"), _EXPIRED),
        ),
        Operation(
            "GET", "/auth/invite/validate", _validate_invite, "Validate an invitation token before accepting",
            parameters=(_LINK,), answers={200: shapes.Invitation, 400: _USED, 404: _UNKNOWN},
            words=_WORDS_OF_LINKS,
        ),
        Operation(
            "POST", "/auth/invite/accept", _accept_invite, "Accept an invitation and create a user account",
            body=shapes.Acceptance,
            answers={
                201: shapes.Accepted, 400: f"{_USED}, or invalid input", 401: "The address has an account: sign in",
                403: "Signed in as somebody else", 404: _UNKNOWN, 409: "A member already",
            },
            names=_NAMES, words=_WORDS_OF_LINKS,
        ),
        Operation(
            "POST", "/auth/forgot-password", _forgot_password, "Request a password reset email",
            body=shapes.ForgottenPassword, answers={200: shapes.Done, 400: _INVALID},
        ),
        Operation(
            "GET", "/auth/reset-password/validate", _validate_reset, "Validate a password reset token",
            parameters=(_LINK,), answers={200: shapes.ResetLink, 400: _USED, 404: _UNKNOWN},
            words=_WORDS_OF_LINKS,
        ),
        Operation(
            "POST", "/auth/reset-password", _reset_password, "Reset password using a valid token",
            body=shapes.PasswordReset,
            answers={200: shapes.Done, 400: f"{_USED}, or invalid input", 404: _UNKNOWN},
            names=_NAMES, words=_WORDS_OF_LINKS,
        ),
        Operation(
            "POST", "/auth/change-password", _change_password, "Change password for the authenticated user",
            body=shapes.PasswordChange, credential="bearer",
            answers={200: shapes.Done, 400: "New password does not meet requirements", 401: _WRONG},
            names=_NAMES, words={"INVALID_CREDENTIALS": _WRONG},
        ),
    ),
)  # fmt: skip
