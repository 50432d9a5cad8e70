"""Valid requests to mutate: the road, walked once with everything written down. And somebody to speak for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import grpc.aio
from tests.child import Child
from tests.mailbox import Mailbox
from tests.running import bearer

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions
from identity_pb.v1.auth_service_pb2_grpc import AuthServiceStub
from identity_pb.v1.session_service_pb2_grpc import SessionServiceStub

SETUP = "/identity.v1.AuthService/Setup"
_PASSWORD = "correct horse battery staple"
_OTHER = "purple donkey charger paperclip"  # of words that no refusal uses: "another" would look like an echo
_numbers = count(1)


@dataclass(frozen=True)
class Resident:
    """Somebody with a tenant who is signed in; `known` are the values of theirs by parts of the names of fields."""

    access_token: str
    known: Mapping[str, Sequence[str]]


class Recorder(grpc.aio.UnaryUnaryClientInterceptor):
    """Keeps the bytes of every request, by the path of its method."""

    def __init__(self) -> None:
        self.requests: dict[str, list[bytes]] = defaultdict(list)

    async def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        self.requests[method].append(request.SerializeToString())
        return await continuation(details, request)


async def record(service: Child, mailbox: Mailbox) -> dict[str, list[bytes]]:
    """The requests of the road."""
    recorder = Recorder()
    async with grpc.aio.insecure_channel(service.address, interceptors=[recorder]) as channel:
        await _walk(service, mailbox, channel)
    setup = auth.SetupRequest(
        email="root@example.org",
        password=_PASSWORD,
        first_name="Root",
        tenant_name="Acme",
        tenant_kind="salon",
        contact=resources.Contact(email="info@example.org", phone="+32470123456", address="1, Main Street"),
        opening_hours=[
            resources.OpeningHours(day_of_week=1, open_time="08:00", close_time="18:00"),
            resources.OpeningHours(day_of_week=0, is_closed=True),
        ],
        locale="nl",
    )
    setup.attributes.update({"chairs": 4, "colours": ["red", {"of": None}], "open": True})
    recorder.requests[SETUP].append(setup.SerializeToString())
    return recorder.requests


async def settle_in(channel: grpc.aio.Channel, mailbox: Mailbox) -> Resident:
    """Somebody new, whose password no recording has."""
    email, password = f"resident{next(_numbers)}@example.org", "nineteen quiet lamps at dusk"
    result = await _come_in(mailbox, AuthServiceStub(channel), email, password)
    known = {
        "accountrequest.id": [result.account.id],
        "accountstatusrequest.id": [result.account.id],
        "account_id": [result.account.id],
        "sessionrequest.id": [result.session.id],
        "tenant_id": [result.tenant.id],
        "tenant_slug": [result.tenant.slug],
        "current_password": [password],
        "refresh_token": [result.tokens.refresh_token],
    }
    return Resident(result.tokens.access_token, known)


async def _walk(service: Child, mailbox: Mailbox, channel: grpc.aio.Channel) -> None:
    auths: Any = AuthServiceStub(channel)
    sess: Any = SessionServiceStub(channel)
    email = f"ada{next(_numbers)}@example.org"
    await auths.GetSetupStatus(auth.GetSetupStatusRequest())
    await sess.GetJwks(sessions.GetJwksRequest())
    await auths.Register(auth.RegisterRequest(phone="0470123456", phone_country="BE", password=_PASSWORD))
    access = (await _come_in(mailbox, auths, email, _PASSWORD)).tokens.access_token
    await auths.ResendVerification(auth.ResendVerificationRequest(email=email, locale="fr"))
    device = resources.Device(name="Ada's phone", os="Android 15", fingerprint="f" * 64)
    login = auth.LoginRequest(identifier=email, password=_PASSWORD, device=device)
    tokens = (await auths.Login(login)).session.tokens
    await sess.RefreshSession(sessions.RefreshSessionRequest(refresh_token=tokens.refresh_token, include_account=True))
    await sess.GetSession(sessions.GetSessionRequest(), metadata=bearer(access))
    change = auth.ChangePasswordRequest(identifier=email, current_password=_PASSWORD, new_password=_OTHER)
    await auths.ChangePassword(change)
    await service.advance(120)
    seen = mailbox.count(email)
    await auths.RequestPasswordReset(auth.RequestPasswordResetRequest(identifier=email, locale="nl"))
    token = await mailbox.token(email, seen + 1)
    await auths.ValidatePasswordReset(auth.ValidatePasswordResetRequest(token=token))
    await auths.ResetPassword(auth.ResetPasswordRequest(token=token, new_password=_PASSWORD, email=email))
    tokens = (await auths.Login(login)).session.tokens
    await sess.SignOut(sessions.SignOutRequest(refresh_token=tokens.refresh_token))


async def _come_in(mailbox: Mailbox, auths: Any, email: str, password: str) -> resources.SessionResult:
    wish = auth.RegisterRequest(email=email, password=password, first_name="Ada", role="owner", tenant_name="Acme")
    seen = mailbox.count(email)
    await auths.Register(wish)
    await auths.VerifyEmail(auth.VerifyEmailRequest(token=await mailbox.token(email, seen + 1)))
    reply = await auths.Login(auth.LoginRequest(identifier=email, password=password))
    result: resources.SessionResult = reply.session
    return result
