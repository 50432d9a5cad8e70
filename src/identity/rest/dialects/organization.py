"""The organization product: `{success}` answers, and a session in a cookie as clients of NextAuth know it."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from secrets import token_hex
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from starlette.responses import Response

from identity.rest import cookies
from identity.rest.dialect import Dialect, Operation, Parameter, alike, reply
from identity.rest.dialects import organization_session as session
from identity.rest.dialects.organization_shapes import (
    NAMES,
    Address,
    Credentials,
    CsrfToken,
    Done,
    Failure,
    Landed,
    MailedToken,
    NewPassword,
    Organization,
    Provider,
    Providers,
    Registered,
    Registration,
    SessionOrNobody,
    SignOut,
    User,
    refuse,
)
from identity.rest.exchange import Exchange
from identity.rest.first_tenant import first_tenant
from identity.rest.known_device import know_device, known_device
from identity.rest.refusals import PERMISSION_DENIED, UNAUTHENTICATED, Refusal
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import resources_pb2 as resources

CHALLENGE: Final = "challenge"
_WAITS_NO_MORE: Final = ("TOKEN_INVALID", "TOKEN_EXPIRED", "OTP_EXPIRED")

INVALID: Final = "The request is not valid; `errors` names the fields."
OVER: Final = "The token has been used or has expired, or the request is not valid."
UNKNOWN: Final = "Nobody has sent this token."


# Registering, and the mails.


async def _register(exchange: Exchange, body: Registration) -> Response:
    request = auth.RegisterRequest(
        email=body.email,
        password=body.password,
        first_name=body.first_name,
        last_name=body.last_name,
        tenant_name=body.organization_name,
    )
    answer = await exchange.call(exchange.upstream.auth.Register, request, bearer="")
    account, tenant = answer.account, answer.tenant
    user = User(id=account.id, email=account.email, first_name=account.first_name, last_name=account.last_name)
    organization = Organization(id=tenant.id, name=tenant.name, slug=tenant.slug)
    return reply(Registered(user=user, organization=organization), 201)


async def _verify_email(exchange: Exchange, body: MailedToken) -> Response:
    await exchange.call(exchange.upstream.auth.VerifyEmail, auth.VerifyEmailRequest(token=body.token), bearer="")
    return reply(Done())


async def _resend_verification(exchange: Exchange, body: Address) -> Response:
    request = auth.ResendVerificationRequest(email=body.email)
    await alike(exchange.call(exchange.upstream.auth.ResendVerification, request, bearer=""))
    return reply(Done())


async def _forgot_password(exchange: Exchange, body: Address) -> Response:
    request = auth.RequestPasswordResetRequest(identifier=body.email)
    await alike(exchange.call(exchange.upstream.auth.RequestPasswordReset, request, bearer=""))
    return reply(Done())


async def _reset_password(exchange: Exchange, body: NewPassword) -> Response:
    request = auth.ResetPasswordRequest(token=body.token, new_password=body.password)
    await exchange.call(exchange.upstream.auth.ResetPassword, request, bearer="")
    return reply(Done())


# Signing in and out.


async def _sign_in(exchange: Exchange, body: Credentials) -> Response:
    cookies.require_known_origin(exchange)
    try:
        outcome = await _prove(exchange, body)
        if outcome.WhichOneof("result") == "password_change":
            raise Refusal(
                PERMISSION_DENIED,
                "This password was a temporary one. Choose your own with the link of a reset mail.",
                reason="PASSWORD_CHANGE_REQUIRED",
            )
    except Refusal as refusal:
        refusal.metadata["url"] = _failed(exchange, body.callback_url, refusal.reason)
        raise
    if outcome.WhichOneof("result") == "mfa_challenge":
        return _ask_for_code(exchange, body, outcome.mfa_challenge)
    response = reply(Landed(url=_landing(exchange, body.callback_url)))
    session.keep(exchange, response, outcome.session.tokens)
    know_device(exchange, response, outcome.session)
    cookies.drop(response, exchange.settings, cookies.prefixed(exchange.settings, CHALLENGE))
    return response


async def _prove(exchange: Exchange, body: Credentials) -> Any:
    """How far the password gets, and the code with it if there is one: of the sign-in that waits, or of this one."""
    if body.code and (waiting := _waiting(exchange, body.email)):
        try:
            return await _verify(exchange, waiting, body.code)
        except Refusal as refusal:
            if refusal.reason not in _WAITS_NO_MORE:
                raise
    request = auth.LoginRequest(
        identifier=body.email,
        password=body.password,
        origin=resources.ORIGIN_WEB,
        remember=True,
        device_token=known_device(exchange),
    )
    outcome = await first_tenant(exchange, await exchange.call(exchange.upstream.auth.Login, request, bearer=""))
    if body.code and outcome.WhichOneof("result") == "mfa_challenge":
        try:
            return await _verify(exchange, outcome.mfa_challenge.challenge_token, body.code)
        except Refusal as refusal:
            # The next code may be one that was mailed for this very sign-in.
            refusal.headers["set-cookie"] = _have_wait(exchange, body.email, outcome.mfa_challenge, Response())
            raise
    return outcome


async def _verify(exchange: Exchange, challenge_token: str, code: str) -> Any:
    field = "recovery_code" if len(code) > 6 else "otp"
    request = auth.VerifyOtpRequest(challenge_token=challenge_token)
    setattr(request, field, code)
    return await first_tenant(exchange, await exchange.call(exchange.upstream.auth.VerifyOtp, request, bearer=""))


def _ask_for_code(exchange: Exchange, body: Credentials, challenge: resources.MfaChallenge) -> Response:
    reason = "MFA_REQUIRED"
    url = _failed(exchange, body.callback_url, reason)
    words = "Send the code of the second factor too, as `code`."
    response = refuse(Refusal(UNAUTHENTICATED, words, reason=reason, metadata={"url": url}))
    _have_wait(exchange, body.email, challenge, response)
    return response


def _have_wait(exchange: Exchange, email: str, challenge: resources.MfaChallenge, response: Response) -> str:
    """Have the browser hold the challenge of a sign-in; gives the header that says so."""
    name = cookies.prefixed(exchange.settings, CHALLENGE)
    cookies.put(response, exchange.settings, name, f"{challenge.challenge_token}.{_whose(email)}", challenge.expires_at)
    return response.headers["set-cookie"]


def _waiting(exchange: Exchange, email: str) -> str:
    """The challenge of this person's sign-in that waits for a code in this browser; empty if there is none."""
    held = cookies.read(exchange, cookies.prefixed(exchange.settings, CHALLENGE)) or ""
    challenge_token, _, whose = held.rpartition(".")
    return challenge_token if whose == _whose(email) else ""


def _whose(email: str) -> str:
    return sha256(email.strip().lower().encode()).hexdigest()[:16]


async def _sign_out(exchange: Exchange, body: SignOut) -> Response:
    cookies.require_known_origin(exchange)
    await session.end(exchange)
    response = reply(Landed(url=_landing(exchange, body.callback_url)))
    session.drop(exchange, response)
    return response


# What clients of NextAuth ask beside.


async def _csrf(exchange: Exchange, _: None) -> Response:
    """A token that they send back. What guards the calls is their Origin."""
    return reply(CsrfToken(csrf_token=token_hex(32)))


async def _providers(exchange: Exchange, _: None) -> Response:
    base = f"{exchange.settings.public_url.rstrip('/')}{DIALECT.root}"
    provider = Provider(signin_url=f"{base}/signin/credentials", callback_url=f"{base}/callback/credentials")
    return reply(Providers(credentials=provider))


def _landing(exchange: Exchange, wanted: str | None) -> str:
    """Where the page goes next: what it wants, within its own origin, which is a known one by now."""
    origin = exchange.headers["origin"]
    try:
        url = urljoin(f"{origin}/", wanted or "")
        parts = urlsplit(url)
    except ValueError:
        return f"{origin}/"
    return url if f"{parts.scheme}://{parts.netloc}" == origin else f"{origin}/"


def _failed(exchange: Exchange, wanted: str | None, reason: str) -> str:
    """The page that was left, told of the error as NextAuth tells it; where it goes next if it does not say."""
    parts = urlsplit(_landing(exchange, exchange.headers.get("referer") or wanted))
    error = "CredentialsSignin" if reason == "INVALID_CREDENTIALS" else reason
    query = [(name, value) for name, value in parse_qsl(parts.query) if name != "error"]
    return parts._replace(query=urlencode([*query, ("error", error)])).geturl()


_post = partial(Operation, "POST", names=NAMES)
_get = partial(Operation, "GET")
_SESSION = Parameter(session.COOKIE, "cookie", "Set by signing in; `__Host-session` over TLS.")
_ORIGIN = Parameter("origin", "header", "A page of this site makes the call: browsers send it by themselves.", True)

DIALECT = Dialect(
    name="organization",
    title="Organization",
    refuse=refuse,
    failure=Failure,
    operations=(
        _post(
            "/api/auth/register", _register, "Register a new organization and its administrator",
            body=Registration, answers={201: Registered, 400: INVALID},
        ),
        _post(
            "/api/auth/verify-email", _verify_email, "Verify an e-mail address with the token of the mail",
            body=MailedToken, answers={200: Done, 400: OVER, 404: UNKNOWN},
        ),
        _post(
            "/api/auth/forgot-password", _forgot_password, "Request a password reset mail",
            body=Address, answers={200: Done, 400: INVALID},
        ),
        _post(
            "/api/auth/reset-password", _reset_password, "Choose a new password with the token of the mail",
            body=NewPassword, answers={200: Done, 400: OVER, 404: UNKNOWN},
        ),
        _post(
            "/api/auth/resend-verification", _resend_verification, "Resend the verification mail",
            body=Address, answers={200: Done, 400: INVALID},
        ),
        _post(
            "/api/auth/callback/credentials", _sign_in, "Sign in, with a session in a cookie",
            body=Credentials, takes_forms=True, parameters=(_ORIGIN,),
            answers={
                200: Landed,
                400: INVALID,
                401: "E-mail address, password or code are wrong, or a code is needed: `MFA_REQUIRED`.",
                403: "A page of another site calls, or the address has to be verified first.",
            },
        ),
        _post(
            "/api/auth/signout", _sign_out, "Sign out",
            body=SignOut, takes_forms=True, parameters=(_ORIGIN, _SESSION), credential="cookie",
            answers={200: Landed, 400: INVALID, 403: "A page of another site calls."},
        ),
        _get(
            "/api/auth/session", session.tell, "Get the session",
            parameters=(_SESSION,), credential="cookie", answers={200: SessionOrNobody},
        ),
        _get("/api/auth/csrf", _csrf, "Get a token to send back", answers={200: CsrfToken}),
        _get("/api/auth/providers", _providers, "List the ways to sign in", answers={200: Providers}),
    ),
)  # fmt: skip
