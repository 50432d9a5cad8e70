"""A client of the service with a good memory: what was acknowledged to it, and what it never learned."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import Any

import grpc
import grpc.aio
from tests.crash.post import RESET, VERIFY, Gone, Post
from tests.running import Refusal, bearer

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import session_service_pb2 as sessions
from identity_pb.v1.auth_service_pb2_grpc import AuthServiceStub
from identity_pb.v1.session_service_pb2_grpc import SessionServiceStub

_numbers = count(1)


class Fact(Enum):
    """What a client knows of something that it asked for. `MAYBE`: it was never answered."""

    NO = 0
    MAYBE = 1
    YES = 2


class Refused(Exception):
    """An answer that says no."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code} {refusal.reason}: {refusal.message}")
        self.reason = refusal.reason


class Line:
    """Calls one process of the service; `tick` hears of every call that begins and of every one that ends."""

    def __init__(self, channel: grpc.aio.Channel, post: Post, tick: Callable[[], None] = lambda: None) -> None:
        # The generated types follow the channel at run time; these name the asynchronous ones.
        self.auth: Any = AuthServiceStub(channel)
        self.sessions: Any = SessionServiceStub(channel)
        self.post = post
        self._tick = tick

    async def call(self, method: Any, request: Any, access_token: str | None = None) -> Any:
        """The answer. Raises Refused, or Gone when there is none: from nobody, or from a service without a database."""
        self._tick()
        try:
            return await method(request, metadata=bearer(access_token) if access_token else None, timeout=15)
        except grpc.aio.AioRpcError as error:
            refusal = Refusal(error)
            if refusal.code is grpc.StatusCode.UNAVAILABLE and refusal.reason in ("", "SERVICE_UNAVAILABLE"):
                raise Gone from None
            raise Refused(refusal) from None
        finally:
            self._tick()


@dataclass
class Seat:
    """A session as its client knows it. `asked`: a refresh is under way; `parent` is the token before `refresh`."""

    access: str
    refresh: str
    parent: str | None = None
    asked: bool = False
    ended: Fact = Fact.NO


@dataclass
class Person:
    """Everything that one person was told, and the one thing that they may be waiting for.

    `wanted` is a password that was sent and never acknowledged, in a change by the session `keeps` or in a reset.
    """

    email: str
    password: str
    owner: bool = False
    registered: Fact = Fact.NO
    verified: Fact = Fact.NO
    may_reset: bool = False
    resets_asked: int = 0
    resets_acknowledged: int = 0
    reset_token: str | None = None
    wanted: str | None = None
    keeps: Seat | None = None
    outdated: list[str] = field(default_factory=list)
    seats: list[Seat] = field(default_factory=list)

    @classmethod
    def new(cls) -> Person:
        number = next(_numbers)
        return cls(f"walker{number}@example.org", f"first password of walker {number}", owner=number % 2 == 0)

    @property
    def live(self) -> list[Seat]:
        return [seat for seat in self.seats if seat.ended is Fact.NO]

    # What a person does. Each leaves its doubt behind when the answer does not come.

    async def walk(self, line: Line, rng: random.Random) -> None:
        """Become somebody, then come and go for ever. Raises Gone."""
        if self.registered is not Fact.YES:
            await self.register(line)
        if self.verified is not Fact.YES:
            await self.verify(line)
        while True:
            if not self.live:
                await self.sign_in(line)
            seat = rng.choice(self.live)
            chance = rng.random()
            if chance < 0.15 and self.may_reset:
                await self.reset(line)
            elif chance < 0.30:
                await self.change(line, seat)
            elif chance < 0.40:
                await self.sign_out(line, seat)
            elif chance < 0.55 and len(self.live) < 4:
                await self.sign_in(line)
            elif chance < 0.65:
                await line.call(line.sessions.GetSession, sessions.GetSessionRequest(), seat.access)
            else:
                await self.refresh(line, seat)

    async def register(self, line: Line) -> None:
        self.registered = Fact.MAYBE
        request = auth.RegisterRequest(email=self.email, password=self.password, first_name="Ada")
        if self.owner:
            request.role, request.tenant_name = "owner", f"Company of {self.email}"
        await line.call(line.auth.Register, request)
        self.registered = Fact.YES

    async def verify(self, line: Line) -> None:
        letter = await line.post.wait(self.email, VERIFY)
        self.verified = Fact.MAYBE
        await line.call(line.auth.VerifyEmail, auth.VerifyEmailRequest(token=letter.secret))
        self.verified = Fact.YES

    async def sign_in(self, line: Line) -> None:
        reply = await line.call(line.auth.Login, auth.LoginRequest(identifier=self.email, password=self.password))
        tokens = reply.session.tokens
        self.seats.append(Seat(tokens.access_token, tokens.refresh_token))

    async def refresh(self, line: Line, seat: Seat) -> bool:
        """Take the successor of the seat's token; whether it had been made before."""
        seat.asked = True
        request = sessions.RefreshSessionRequest(refresh_token=seat.refresh)
        reply = await line.call(line.sessions.RefreshSession, request)
        seat.asked = False
        seat.parent, seat.refresh, seat.access = seat.refresh, reply.tokens.refresh_token, reply.tokens.access_token
        return bool(reply.reused)

    async def sign_out(self, line: Line, seat: Seat) -> None:
        seat.ended = Fact.MAYBE
        await line.call(line.sessions.SignOut, sessions.SignOutRequest(refresh_token=seat.refresh))
        seat.ended = Fact.YES

    async def change(self, line: Line, seat: Seat) -> None:
        new = self._want(keeps=seat)
        request = auth.ChangePasswordRequest(current_password=self.password, new_password=new)
        await line.call(line.auth.ChangePassword, request, seat.access)
        self.conclude(took=True)

    async def reset(self, line: Line) -> None:
        await self.ask_for_reset(line)
        await self.use_reset(line)

    async def ask_for_reset(self, line: Line) -> None:
        self.may_reset = False  # one reset mail in a minute is all there is
        arrived = len(line.post.distinct(self.email, RESET))
        self.resets_asked += 1
        await line.call(line.auth.RequestPasswordReset, auth.RequestPasswordResetRequest(identifier=self.email))
        self.resets_acknowledged += 1
        self.reset_token = (await line.post.wait(self.email, RESET, arrived + 1)).secret

    async def use_reset(self, line: Line) -> None:
        assert self.reset_token is not None
        new = self._want(keeps=None)
        request = auth.ResetPasswordRequest(token=self.reset_token, new_password=new)
        await line.call(line.auth.ResetPassword, request)
        self.conclude(took=True)

    def _want(self, keeps: Seat | None) -> str:
        self.wanted = f"password number {len(self.outdated) + 2} of {self.email}"
        self.keeps = keeps
        return self.wanted

    def conclude(self, *, took: bool) -> None:
        """Note that the wanted password was taken, with everything that ends by it, or was not."""
        assert self.wanted is not None
        if took:
            self.outdated.append(self.password)
            self.password = self.wanted
            for seat in self.seats:
                if seat is not self.keeps:
                    seat.ended = Fact.YES
            self.reset_token = None
        self.wanted = self.keeps = None
