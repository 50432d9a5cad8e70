"""The salon product: access tokens for a working day, a refresh token for the phone, and a wizard that sets it up.

Its document's base path is `/api/auth` and its headings say `/auth`; whichever way a client read that, it is served.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from identity.rest.dialect import Dialect, Operation, alike, reply
from identity.rest.dialects import salon_shapes as shapes
from identity.rest.exchange import Exchange
from identity.rest.first_tenant import first_tenant
from identity.rest.refusals import PERMISSION_DENIED, UNAUTHENTICATED, Refusal, Violation, invalid
from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions

PAGE: Final = 100
MOST_USERS: Final = 5000
"""Where there are more, they are read in pages, at `/v1/accounts` (Z-23)."""

STALE: Final = {"UNAUTHENTICATED", "TOKEN_INVALID", "TOKEN_EXPIRED", "SESSION_REVOKED"}


# Signing in and out.


async def _login(exchange: Exchange, body: shapes.Login) -> Response:
    request = auth.LoginRequest(identifier=body.email, password=body.password, remember=bool(body.mobile))
    answer = await first_tenant(exchange, await exchange.call(exchange.upstream.auth.Login, request))
    how_far = answer.WhichOneof("result")
    if how_far == "mfa_challenge":
        # The document knows no second factor, and one that is on is never skipped (LG-07).
        raise Refusal(
            PERMISSION_DENIED, "This account has a second factor: sign in at POST /v1/login.", reason="MFA_REQUIRED"
        )
    result = getattr(answer, how_far)
    return _signed_in(result.tokens, result.account, result.membership)


async def _refresh(exchange: Exchange, body: shapes.Refresh) -> Response:
    request = sessions.RefreshSessionRequest(refresh_token=body.refresh_token, include_account=True)
    answer = await exchange.call(exchange.upstream.sessions.RefreshSession, request)
    return _signed_in(answer.tokens, answer.account, answer.membership)


def _signed_in(
    tokens: resources.SessionTokens, account: resources.Account, membership: resources.Membership
) -> Response:
    user = shapes.User(
        id=account.number,
        name=account.name,
        email=account.email,
        role=membership.role.key,
        require_password_change=account.require_password_change,
    )
    refresh_token = tokens.refresh_token if tokens.HasField("refresh_token") else None
    return reply(shapes.SignedIn(token=tokens.access_token, refresh_token=refresh_token, user=user), exclude_none=True)


async def _logout(exchange: Exchange, body: shapes.Logout) -> Response:
    if exchange.bearer is None and not body.refresh_token:
        raise Refusal(UNAUTHENTICATED, "There is nobody to log out: send the access token.", reason="UNAUTHENTICATED")
    request = sessions.SignOutRequest(refresh_token=body.refresh_token or None, push_token=body.device_token or None)
    await exchange.call(exchange.upstream.sessions.SignOut, request)
    return reply(shapes.Done(message="Logged out"))


# Users.


async def _register(exchange: Exchange, body: shapes.NewUser) -> Response:
    request = accounts.CreateAccountRequest(email=body.email, name=body.name, role=body.role or None)
    made = await exchange.call(exchange.upstream.accounts.CreateAccount, request)
    account, role = made.account, made.membership.role
    return reply(shapes.Registered(id=account.number, email=account.email, role=role.key, name=account.name))


async def _users(exchange: Exchange, _: None) -> Response:
    found: list[shapes.Listed] = []
    request = accounts.ListAccountsRequest(page_size=PAGE, order=accounts.ACCOUNT_ORDER_OLDEST)
    while True:
        page = await exchange.call(exchange.upstream.accounts.ListAccounts, request)
        found += map(_listed, page.members)
        if not page.next_page_token:
            return reply(shapes.Users(found))
        if len(found) >= MOST_USERS:
            raise invalid("There are too many users for one list: read them in pages, at /v1/accounts.")
        request.page_token = page.next_page_token


def _listed(member: accounts.Member) -> shapes.Listed:
    account = member.account
    email = account.email if account.HasField("email") else None
    return shapes.Listed(id=account.number, name=account.name, email=email, role=member.membership.role.key)


# Passwords.


async def _forgot_password(exchange: Exchange, body: shapes.ForgottenPassword) -> Response:
    request = auth.RequestPasswordResetRequest(identifier=body.email)
    await alike(exchange.call(exchange.upstream.auth.RequestPasswordReset, request, bearer=""))
    return reply(shapes.Done(message="If the email address is known, a reset link has been sent"))


async def _reset_password(exchange: Exchange, body: shapes.PasswordReset) -> Response:
    request = auth.ResetPasswordRequest(email=body.email, token=body.token, new_password=body.password)
    await exchange.call(exchange.upstream.auth.ResetPassword, request)
    return reply(shapes.Done(message="Password reset"))


async def _change_password(exchange: Exchange, body: shapes.PasswordChange) -> Response:
    if body.new_password != body.confirm_password:
        text = "Passwords do not match"
        raise invalid(text, Violation("confirmPassword", text, "PASSWORDS_DIFFER"))
    request = auth.ChangePasswordRequest(
        identifier=body.email, current_password=body.current_password, new_password=body.new_password
    )
    change = exchange.upstream.auth.ChangePassword
    try:
        await exchange.call(change, request)
    except Refusal as refusal:
        if refusal.reason not in STALE:
            raise
        # Address and password are proof enough: a bearer only spares the session it belongs to (Z-03).
        await exchange.call(change, request, bearer="")
    return reply(shapes.Done(message="Password changed"))


# Push devices.


async def _register_device(exchange: Exchange, body: shapes.Device) -> Response:
    platform = sessions.PushPlatform.Value(f"PUSH_PLATFORM_{body.platform.upper()}")
    request = sessions.RegisterPushDeviceRequest(token=body.token, platform=platform)
    await exchange.call(exchange.upstream.sessions.RegisterPushDevice, request)
    return reply(shapes.Done(message="Device registered"))


async def _remove_device(exchange: Exchange, body: shapes.DeviceToken) -> Response:
    request = sessions.RemovePushDeviceRequest(token=body.token)
    await exchange.call(exchange.upstream.sessions.RemovePushDevice, request)
    return reply(shapes.Done(message="Device removed"))


# The first run.


async def _setup_status(exchange: Exchange, _: None) -> Response:
    answer = await exchange.call(exchange.upstream.auth.GetSetupStatus, auth.GetSetupStatusRequest())
    return reply(shapes.SetupStatus(needs_setup=answer.needs_setup))


async def _set_up(exchange: Exchange, body: shapes.FirstRun) -> Response:
    # A form sends as an empty text what was left empty.
    contact = resources.Contact(
        email=body.salon_email or None, phone=body.salon_phone or None, address=body.salon_address or None
    )
    week = [
        resources.OpeningHours(
            day_of_week=day.day_of_week,
            open_time=day.open_time or None,
            close_time=day.close_time or None,
            is_closed=bool(day.is_closed),
        )
        for day in body.opening_hours or []
    ]
    request = auth.SetupRequest(
        name=body.admin_name,
        email=body.admin_email,
        password=body.admin_password,
        tenant_name=body.salon_name,
        contact=contact,
        opening_hours=week,
        bootstrap_secret=body.bootstrap_secret,
        remember=False,
    )
    session = (await exchange.call(exchange.upstream.auth.Setup, request)).session
    account, role = session.account, session.membership.role
    admin = shapes.Administrator(id=account.number, name=account.name, role=role.key)
    return reply(shapes.FirstSession(token=session.tokens.access_token, user=admin), 201)


_INVALID: Final = "Invalid input"
_NO_TOKEN: Final = "No access token, or one that is not good any more"
_NO_ADMIN: Final = "Not an administrator"
_TEMPORARY: Final = "The temporary password has to be changed first"
_EXPIRED: Final = "Invalid or expired refresh token"
_LINK: Final = "Invalid or expired token"
_TAKEN: Final = "Email address already registered"
_WRONG: Final = "Wrong current password"

DIALECT = Dialect(
    name="salon",
    title="Salon",
    about="Authentication: the first setup, staff with their passwords, sessions and push devices.",
    refuse=shapes.refuse,
    failure=shapes.Failure,
    also_at=("/auth",),
    operations=(
        Operation(
            "POST", "/api/auth/login", _login, "Log in with email and password", body=shapes.Login,
            answers={
                200: shapes.SignedIn, 400: _INVALID, 401: "Invalid credentials", 403: "Locked, or with a second factor",
            },
            names={"identifier": "email"},
            words={"INVALID_CREDENTIALS": "Invalid credentials"},
        ),
        Operation(
            "POST", "/api/auth/logout", _logout, "Log out and revoke refresh and device token",
            body=shapes.Logout, credential="bearer",
            answers={200: shapes.Done, 400: _INVALID, 401: "Neither an access token nor a refresh token"},
            names={"push_token": "device_token"},
        ),
        Operation(
            "POST", "/api/auth/refresh", _refresh, "Renew access token via refresh token", body=shapes.Refresh,
            answers={200: shapes.SignedIn, 400: _INVALID, 401: _EXPIRED},
            words=dict.fromkeys(("TOKEN_INVALID", "TOKEN_EXPIRED", "TOKEN_REUSED", "SESSION_REVOKED"), _EXPIRED),
        ),
        Operation(
            "POST", "/api/auth/register", _register, "Create a new user, who gets a temporary password by mail",
            body=shapes.NewUser, credential="bearer",
            answers={200: shapes.Registered, 400: _INVALID, 401: _NO_TOKEN, 403: _NO_ADMIN, 409: _TAKEN},
            words={"EMAIL_TAKEN": _TAKEN},
        ),
        Operation(
            "POST", "/api/auth/forgot-password", _forgot_password, "Send a password reset email",
            body=shapes.ForgottenPassword, answers={200: shapes.Done, 400: _INVALID},
        ),
        Operation(
            "POST", "/api/auth/reset-password", _reset_password, "Reset password with token from the reset email",
            body=shapes.PasswordReset, answers={200: shapes.Done, 400: _LINK},
            names={"new_password": "password"},
            words=dict.fromkeys(("LINK_NOT_FOUND", "LINK_EXPIRED", "LINK_USED"), _LINK),
        ),
        Operation(
            "POST", "/api/auth/change-password", _change_password, "Change the password with the current one",
            body=shapes.PasswordChange,
            answers={200: shapes.Done, 400: "Passwords do not match, or the new one is too weak", 401: _WRONG},
            names={
                "identifier": "email", "current_password": "currentPassword", "new_password": "newPassword",
            },
            words={"INVALID_CREDENTIALS": _WRONG},
        ),
        Operation(
            "GET", "/api/auth/users", _users, "Get all users", credential="bearer",
            answers={200: shapes.Users, 400: "Too many for one list", 401: _NO_TOKEN, 403: _NO_ADMIN},
        ),
        Operation(
            "POST", "/api/auth/device", _register_device, "Register a push notification device token",
            body=shapes.Device, credential="bearer",
            answers={200: shapes.Done, 400: _INVALID, 401: _NO_TOKEN, 403: _TEMPORARY},
        ),
        Operation(
            "DELETE", "/api/auth/device", _remove_device, "Remove a device token",
            body=shapes.DeviceToken, credential="bearer",
            answers={200: shapes.Done, 400: _INVALID, 401: _NO_TOKEN, 403: _TEMPORARY},
        ),
        Operation(
            "GET", "/api/auth/setup-status", _setup_status, "Check if initial setup is needed",
            answers={200: shapes.SetupStatus},
        ),
        Operation(
            "POST", "/api/auth/setup", _set_up, "Initial setup", body=shapes.FirstRun,
            answers={
                201: shapes.FirstSession, 400: "Setup already completed, or invalid input", 403: "Secret missing",
            },
            names={
                "name": "admin_name",
                "email": "admin_email",
                "password": "admin_password",
                "tenant_name": "salon_name",
                "contact.email": "salon_email",
                "contact.phone": "salon_phone",
                "contact.address": "salon_address",
            },
            words={"SETUP_DONE": "Setup already completed"},
        ),
    ),
)  # fmt: skip
