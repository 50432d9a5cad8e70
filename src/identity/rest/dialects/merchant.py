"""The merchant product: answers are wrapped as `{success, status, data}`, and cookies hold what scripts must not.

A sign-in that waits for a second factor has its challenge in the cookie `otpValidationToken`. A finished one has its
refresh token in a cookie, of which a back-office browser has one for each of its users (SE-08).
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from identity.rest import cookies
from identity.rest.dialect import CamelReply, Dialect, Operation, Parameter, reply
from identity.rest.dialects.merchant_shapes import (
    NAMES,
    ROLES,
    Acknowledged,
    Address,
    Credentials,
    Done,
    Failure,
    ForgottenPassword,
    NewPassword,
    Otp,
    Registration,
    ResetToken,
    SignedIn,
    SignedInData,
    User,
    refuse,
)
from identity.rest.exchange import Exchange
from identity.rest.first_tenant import first_tenant
from identity.rest.known_device import know_device, known_device
from identity.rest.refusals import PERMISSION_DENIED, UNAUTHENTICATED, Refusal, malformed
from identity.rest_settings import RestSettings
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions

ORIGINS: Final = {"dashboard": resources.ORIGIN_DASHBOARD, "application": resources.ORIGIN_APPLICATION}
CHALLENGE: Final = "otpValidationToken"
REFRESH: Final = "refreshToken"

_is_user_id = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch


# Registering and signing in.


async def _register(exchange: Exchange, body: Registration) -> Response:
    request = auth.RegisterRequest(
        email=body.email,
        password=body.password,
        first_name=body.first_name,
        last_name=body.last_name,
        role=ROLES[body.role],
        tenant_name=_tenant_name(body),
        locale=exchange.parameter("lang"),
        origin=ORIGINS.get(body.origin or "", resources.ORIGIN_UNSPECIFIED),
        phone=body.phone_number or None,
        phone_country=body.phone_number_country or None,
    )
    await exchange.call(exchange.upstream.auth.Register, request, bearer="")
    return reply(Done())


def _tenant_name(body: Registration) -> str | None:
    if body.role == "Association" and not body.association_name:
        raise malformed("associationName", "This role needs the name of an association.", "REQUIRED")
    return (body.association_name if body.role == "Association" else body.company_name) or None


async def _login(exchange: Exchange, body: Credentials) -> Response:
    cookies.refuse_foreign_origin(exchange)
    request = auth.LoginRequest(
        identifier=body.email,
        password=body.password,
        origin=ORIGINS[body.origin],
        device_token=known_device(exchange),
    )
    return await _proceed(exchange, await exchange.call(exchange.upstream.auth.Login, request, bearer=""))


async def _otp(exchange: Exchange, body: Otp) -> Response:
    cookies.refuse_foreign_origin(exchange)
    request = auth.VerifyOtpRequest(challenge_token=_challenge(exchange), **_code(body))
    outcome = await exchange.call(exchange.upstream.auth.VerifyOtp, request, bearer="")
    response = await _proceed(exchange, outcome)
    cookies.drop(response, exchange.settings, CHALLENGE)
    return response


async def _proceed(exchange: Exchange, outcome: Any) -> Response:
    answer = await first_tenant(exchange, outcome)
    match answer.WhichOneof("result"):
        case "session":
            session = answer.session
            owner = session.account.id if session.session.origin == resources.ORIGIN_DASHBOARD else None
            response = _signed_in(exchange, session, owner)
            know_device(exchange, response, session)
            return response
        case "mfa_challenge":
            challenge = answer.mfa_challenge
            response = reply(SignedIn(token=None, data=SignedInData(token=None, user=None)))
            cookies.put(response, exchange.settings, CHALLENGE, challenge.challenge_token, challenge.expires_at)
            return response
    # A temporary password, for whose change the document has no call but the one with a mailed link.
    raise Refusal(
        PERMISSION_DENIED,
        "This password was a temporary one. Choose your own with the link of a reset mail.",
        reason="PASSWORD_CHANGE_REQUIRED",
    )


def _signed_in(
    exchange: Exchange, result: resources.SessionResult | sessions.RefreshSessionResponse, owner: str | None
) -> Response:
    tokens = result.tokens
    response = reply(
        SignedIn(token=tokens.access_token, data=SignedInData(token=tokens.access_token, user=_user(result)))
    )
    if tokens.HasField("refresh_token"):
        name = _refresh_cookie(exchange.settings, owner)
        cookies.put(response, exchange.settings, name, tokens.refresh_token, tokens.refresh_expires_at)
    return response


def _user(result: resources.SessionResult | sessions.RefreshSessionResponse) -> User:
    account, tenant = result.account, result.tenant
    names = {tenant.kind: tenant.name}
    return User(
        id=account.id,
        email=account.email or None,
        first_name=account.first_name or None,
        last_name=account.last_name or None,
        role=result.membership.role.name,
        phone_number=account.phone or None,
        company_name=names.get("company"),
        association_name=names.get("association"),
    )


def _challenge(exchange: Exchange) -> str:
    """The sign-in that waits: out of its cookie, or the same value as bearer (Z-13); empty for none."""
    bearer = (exchange.bearer or "").removeprefix("Bearer ")
    token = cookies.read(exchange, CHALLENGE) or bearer
    return token if len(token) <= 256 else ""  # an access token is longer, and never good enough here


def _code(body: Otp) -> dict[str, Any]:
    if bool(body.otp) == bool(body.email_otp):
        raise malformed("otp", "Send either otp or emailOtp.", "REQUIRED")
    if body.email_otp:
        return {"email_code": body.email_otp}
    otp = body.otp or ""
    return {"recovery_code": otp} if len(otp) > 6 else {"totp": otp}


async def _send_otp(exchange: Exchange, body: Address) -> Response:
    cookies.refuse_foreign_origin(exchange)
    if token := _challenge(exchange):
        request = auth.SendOtpRequest(challenge_token=token, email=body.email)
        await exchange.call(exchange.upstream.auth.SendOtp, request, bearer="")
    return reply(Done())


# A forgotten password.


async def _send_reset(exchange: Exchange, body: ForgottenPassword) -> Response:
    request = auth.RequestPasswordResetRequest(
        identifier=body.email,
        locale=exchange.parameter("lang"),
        origin=ORIGINS.get(body.origin or "", resources.ORIGIN_UNSPECIFIED),
    )
    # What a service key is for only the service knows: for anybody else's bearer it mails (Z-02).
    bearer = None if body.origin == "application" else ""
    answer = await exchange.call(exchange.upstream.auth.RequestPasswordReset, request, bearer=bearer)
    data = ResetToken(token=answer.reset_token) if answer.HasField("reset_token") else None
    return reply(Acknowledged(data=data), exclude_none=True)


async def _change_password(exchange: Exchange, body: NewPassword) -> Response:
    request = auth.ResetPasswordRequest(token=body.token, new_password=body.new_password)
    await exchange.call(exchange.upstream.auth.ResetPassword, request, bearer="")
    return reply(Done())


# Staying and leaving.


async def _refresh(exchange: Exchange, _: None) -> Response:
    cookies.refuse_foreign_origin(exchange)
    user_id = _user_id(exchange)
    token = cookies.read(exchange, _refresh_cookie(exchange.settings, user_id))
    if token is None:
        raise _not_signed_in()
    request = sessions.RefreshSessionRequest(refresh_token=token, include_account=True, account_id=user_id)
    try:
        answer = await exchange.call(exchange.upstream.sessions.RefreshSession, request, bearer="")
    except Refusal as refusal:
        raise (_not_signed_in() if refusal.status in _NO_GOOD else refusal) from None
    return _signed_in(exchange, answer, user_id)


async def _sign_out(exchange: Exchange, _: None) -> Response:
    cookies.refuse_foreign_origin(exchange)
    name = _refresh_cookie(exchange.settings, _user_id(exchange))
    if token := cookies.read(exchange, name):
        request = sessions.SignOutRequest(refresh_token=token)
        try:
            await exchange.call(exchange.upstream.sessions.SignOut, request, bearer="")
        except Refusal as refusal:
            if refusal.status not in _NO_GOOD:
                raise
    response = reply(Done())
    cookies.drop(response, exchange.settings, name)
    return response


_NO_GOOD = (400, 401)
"""How the service refuses what is no token of its own, or none any more."""


def _user_id(exchange: Exchange) -> str | None:
    """Which of the caller's own cookies is meant. It proves nothing: the token in the cookie does (SE-08, Z-16)."""
    user_id = exchange.header("x-user-id")
    if user_id and not _is_user_id(user_id):
        raise _not_signed_in()
    return user_id or None


def _refresh_cookie(settings: RestSettings, user_id: str | None) -> str:
    return cookies.prefixed(settings, f"{REFRESH}-{user_id}" if user_id else REFRESH)


def _not_signed_in() -> Refusal:
    return Refusal(UNAUTHENTICATED, "There is no session here. Sign in again.", reason="UNAUTHENTICATED")


_LANG = Parameter("lang", "query", "Language of the mail.", values=("en", "fr", "nl"))
_USER_ID = Parameter("x-user-id", "header", "Id of the back-office user whose cookie is meant; none for the app.")
_CHALLENGE = Parameter(CHALLENGE, "cookie", "Set by the sign-in; its value is also taken as bearer.")
_REFRESH = Parameter(REFRESH, "cookie", "Set by the sign-in; for the back office named `refreshToken-USER_ID`.")


def _answers(success: type[Done], *refusals: int) -> dict[int, type[CamelReply]]:
    return {200: success, **dict.fromkeys(refusals, Failure)}


_LOGIN = _answers(SignedIn, 400, 401, 403)
_post = partial(Operation, "POST", names=NAMES)

DIALECT = Dialect(
    name="merchant",
    title="Merchant",
    refuse=refuse,
    failure=Failure,
    operations=(
        _post(
            "/auth/register", _register, "Register a new user",
            body=Registration, parameters=(_LANG,), answers=_answers(Done, 400),
        ),
        _post(
            "/auth/login/manager", _login, "Log in a manager or another role of the back office",
            body=Credentials, answers=_LOGIN,
        ),
        _post("/auth/login", _login, "Log in a user", body=Credentials, answers=_LOGIN),
        _post(
            "/auth/otp", _otp, "Prove the second factor and get the access token",
            body=Otp, parameters=(_CHALLENGE,), answers=_LOGIN, credential="cookie",
        ),
        _post(
            "/auth/otp/email", _send_otp, "Mail a one-time code to the address on file",
            body=Address, parameters=(_CHALLENGE,), answers=_answers(Done, 400, 401, 403), credential="cookie",
        ),
        _post(
            "/auth/reset-password/send", _send_reset, "Mail a link to choose a new password",
            body=ForgottenPassword, parameters=(_LANG,), answers=_answers(Acknowledged, 400),
        ),
        _post(
            "/auth/reset-password/change", _change_password, "Choose a new password",
            body=NewPassword, answers=_answers(Done, 400, 404),
        ),
        _post(
            "/auth/refresh-token", _refresh, "Get a new access token",
            parameters=(_USER_ID, _REFRESH), answers=_answers(SignedIn, 401, 403), credential="cookie",
        ),
        _post(
            "/auth/sign-out", _sign_out, "Sign out",
            parameters=(_USER_ID, _REFRESH), answers=_answers(Done, 401, 403), credential="cookie",
        ),
    ),
)  # fmt: skip
