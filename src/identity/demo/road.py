"""The road: what a person and their client do, from the first start of a place to signing out."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import grpc.aio
import jwt
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from identity.demo.stage import Stage, secret_in
from identity.demo.story import NotTrue, Story
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions
from identity_pb.v1.auth_service_pb2_grpc import AuthServiceStub
from identity_pb.v1.session_service_pb2_grpc import SessionServiceStub

ADMIN, ADA = "grace@example.org", "ada@example.org"
FIRST, SECOND, THIRD = "a quiet river at dawn", "seven lanterns in a row", "the tide turns at noon"


async def walk(story: Story, stage: Stage) -> None:
    """All of it, in order."""
    async with grpc.aio.insecure_channel(stage.address) as channel:
        road = _Road(story, stage, channel)
        story.chapter("The first run")
        await road.set_up()
        story.chapter("Becoming somebody")
        await road.register()
        await road.prove_address()
        story.chapter("Staying signed in")
        signed_in = await road.sign_in(FIRST)
        await road.verify_offline(signed_in.tokens.access_token)
        tokens = await road.refresh(signed_in.tokens)
        story.chapter("Forgetting the password")
        await road.reset_password(tokens)
        story.chapter("Changing the password, and leaving")
        await road.change_password_and_leave()


class _Road:
    def __init__(self, story: Story, stage: Stage, channel: grpc.aio.Channel) -> None:
        self._story = story
        self._stage = stage
        # The generated types follow the channel at run time; these name the asynchronous ones.
        self._auth: Any = AuthServiceStub(channel)
        self._sessions: Any = SessionServiceStub(channel)

    async def set_up(self) -> None:
        story = self._story
        with story.step("GetSetupStatus", "is there anybody yet?"):
            status = await self._auth.GetSetupStatus(auth.GetSetupStatusRequest())
            story.holds("the place waits for its first administrator", status.needs_setup)
        with story.step("Setup", f"make {ADMIN} the first administrator"):
            wish = auth.SetupRequest(
                email=ADMIN, password=FIRST, first_name="Grace", last_name="Hopper", tenant_name="Harbour Works"
            )
            made = (await self._auth.Setup(wish)).session
            story.holds(f"she is signed in, as {made.membership.role.name}", made.membership.role.key == "admin")
            story.holds(f"her tenant has the slug {made.tenant.slug}", made.tenant.slug == "harbour-works")
            reason = await _refusal(self._auth.Setup(wish))
            story.holds("a second Setup is refused: SETUP_DONE", reason == "SETUP_DONE")

    async def register(self) -> None:
        story = self._story
        with story.step("Register", f"{ADA} wants an account"):
            wish = auth.RegisterRequest(email=ADA, password=FIRST, first_name="Ada", last_name="Lovelace")
            registered = await self._auth.Register(wish)
            story.holds("a mail is on its way", registered.email_verification_sent)
            story.holds("she is not signed in before she proves her address", not registered.HasField("session"))
        with story.step("Login", "too early"):
            story.holds(
                "the right password gets EMAIL_NOT_VERIFIED", await self._login_fails(FIRST) == "EMAIL_NOT_VERIFIED"
            )
            story.holds(
                "a wrong one gets INVALID_CREDENTIALS", await self._login_fails(SECOND) == "INVALID_CREDENTIALS"
            )

    async def prove_address(self) -> None:
        story = self._story
        with story.step("(mail)", "Ada opens her mailbox"):
            mail = await self._stage.mail(ADA, "/verify-email#")
            token = secret_in(mail)
            story.holds(f'"{mail["Subject"]}" holds a link and a code', bool(token))
        with story.step("VerifyEmail", "the code comes back"):
            proven = await self._auth.VerifyEmail(auth.VerifyEmailRequest(token=token))
            story.holds(f"{proven.email} is proven", proven.email == ADA)
            reason = await _refusal(self._auth.VerifyEmail(auth.VerifyEmailRequest(token=token)))
            story.holds("the code works once: LINK_USED", reason == "LINK_USED")

    async def sign_in(self, password: str) -> resources.SessionResult:
        story = self._story
        with story.step("Login", "with password and device"):
            device = resources.Device(type="laptop", name="Ada's laptop")
            reply = await self._auth.Login(auth.LoginRequest(identifier=ADA, password=password, device=device))
            story.holds("the result is a session", reply.WhichOneof("result") == "session")
            tokens = reply.session.tokens
            story.holds("with an access token and a refresh token", bool(tokens.access_token and tokens.refresh_token))
        with story.step("GetSession", "who am I?"):
            read = await self._get_session(tokens.access_token)
            story.holds(f"the bearer is {read.account.name}", read.account.email == ADA)
            story.holds(f'on "{read.session.device.name}"', read.session.device.name == "Ada's laptop")
        return reply.session  # type: ignore[no-any-return]  # the stub is Any

    async def verify_offline(self, access_token: str) -> None:
        story = self._story
        with story.step("GetJwks", "a backend fetches the public keys"):
            published = [MessageToDict(key) for key in (await self._sessions.GetJwks(sessions.GetJwksRequest())).keys]
            story.holds(f"{len(published)} key, {published[0]['alg']}", published[0]["alg"] == "ES256")
        with story.step("(offline)", "and verifies the access token by itself, with PyJWT"):
            header = jwt.get_unverified_header(access_token)
            key = jwt.PyJWKSet.from_dict({"keys": published})[header["kid"]]
            claims = _verified(access_token, key)
            story.holds("the signature is good, the type is at+jwt", header["typ"] == "at+jwt")
            story.holds(f"it names the account {claims['sub']}", len(claims["sub"]) == 36)
            head, payload, _ = access_token.split(".")
            forged = f"{head}.{payload}.{'A' * 86}"
            story.holds("with another signature it is worth nothing", _is_refused(forged, key))

    async def refresh(self, old: resources.SessionTokens) -> resources.SessionTokens:
        story = self._story
        with story.step("RefreshSession", "new tokens for old"):
            first = await self._refresh(old.refresh_token)
            story.holds("the refresh token is another", first.tokens.refresh_token != old.refresh_token)
            story.holds("and it is the first answer to the old one", not first.reused)
        with story.step("RefreshSession", "the reply got lost, so the client sends the old one again"):
            second = await self._refresh(old.refresh_token)
            story.holds(
                "within 10 s it gets the same successor", second.tokens.refresh_token == first.tokens.refresh_token
            )
            story.holds("and is told so", second.reused)
        return first.tokens  # type: ignore[no-any-return]  # the stub is Any

    async def reset_password(self, tokens: resources.SessionTokens) -> None:
        story = self._story
        with story.step("RequestPasswordReset", "one minute later: an address gets one mail in 60 s"):
            self._stage.clock.turn(timedelta(seconds=61))
            known, unknown = [
                await self._auth.RequestPasswordReset(auth.RequestPasswordResetRequest(identifier=who))
                for who in (ADA, "nobody@example.org")
            ]
            story.holds("somebody without an account gets the same empty answer", known == unknown)
        with story.step("(mail)", "Ada opens her mailbox"):
            mail = await self._stage.mail(ADA, "/reset-password#")
            token = secret_in(mail)
            story.holds(f'"{mail["Subject"]}" holds a link and a code', bool(token))
        with story.step("ValidatePasswordReset", "would the code work?"):
            valid = await self._auth.ValidatePasswordReset(auth.ValidatePasswordResetRequest(token=token))
            story.holds(f"yes, for {valid.email}, and asking does not use it up", valid.valid and valid.email == ADA)
        with story.step("ResetPassword", "a new password"):
            await self._auth.ResetPassword(auth.ResetPasswordRequest(token=token, new_password=SECOND))
            reason = await _refusal(self._get_session(tokens.access_token))
            story.holds("the session from before is over: SESSION_REVOKED", reason == "SESSION_REVOKED")
            reason = await _refusal(self._refresh(tokens.refresh_token))
            story.holds("and cannot be refreshed", reason == "SESSION_REVOKED")
            story.holds("the old password is refused", await self._login_fails(FIRST) == "INVALID_CREDENTIALS")
            mail = await self._stage.mail(ADA, "was changed on")
            story.holds(f'Ada is told: "{mail["Subject"]}"', not secret_in(mail))

    async def change_password_and_leave(self) -> None:
        story = self._story
        with story.step("Login", "with the new password, on two devices"):
            here, there = [await self._auth.Login(auth.LoginRequest(identifier=ADA, password=SECOND)) for _ in range(2)]
            ids = {here.session.session.id, there.session.session.id}
            story.holds("two sessions", len(ids) == 2)
        mine, other = here.session.tokens.access_token, there.session.tokens.access_token
        with story.step("ChangePassword", "by who is signed in and knows the current one"):
            wish = auth.ChangePasswordRequest(current_password=SECOND, new_password=THIRD)
            changed = await self._auth.ChangePassword(wish, metadata=_bearer(mine))
            story.holds(f"{changed.sessions_ended} other session ended", changed.sessions_ended == 1)
            story.holds("this one goes on", (await self._get_session(mine)).account.email == ADA)
            story.holds("the other is over", await _refusal(self._get_session(other)) == "SESSION_REVOKED")
        with story.step("SignOut", "and the access token is worth nothing at once"):
            await self._sessions.SignOut(sessions.SignOutRequest(), metadata=_bearer(mine))
            reason = await _refusal(self._get_session(mine))
            story.holds("GetSession is refused: SESSION_REVOKED", reason == "SESSION_REVOKED")

    async def _login_fails(self, password: str) -> str:
        return await _refusal(self._auth.Login(auth.LoginRequest(identifier=ADA, password=password)))

    async def _refresh(self, refresh_token: str) -> Any:
        return await self._sessions.RefreshSession(sessions.RefreshSessionRequest(refresh_token=refresh_token))

    async def _get_session(self, access_token: str) -> Any:
        return await self._sessions.GetSession(sessions.GetSessionRequest(), metadata=_bearer(access_token))


def _bearer(access_token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {access_token}"),)


def _verified(access_token: str, key: jwt.PyJWK) -> dict[str, Any]:
    return jwt.decode(
        access_token,
        key,
        algorithms=["ES256"],
        audience="identity",
        issuer="http://127.0.0.1:8080",
        options={"require": ["exp", "iat", "iss", "aud", "sub", "sid", "jti"]},
        leeway=5,
    )


def _is_refused(access_token: str, key: jwt.PyJWK) -> bool:
    try:
        _verified(access_token, key)
    except jwt.InvalidSignatureError:
        return True
    return False


async def _refusal(call: Awaitable[object]) -> str:
    """The reason why a call failed. Raises NotTrue if it did not."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        metadata = dict(error.trailing_metadata() or ())
        status = Status.FromString(metadata.get("grpc-status-details-bin", b""))
        info = ErrorInfo()
        return info.reason if any(detail.Unpack(info) for detail in status.details) else error.code().name
    raise NotTrue("a call that must be refused was answered")
