"""A running service and a real client for it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status
from tests.clock import ManualClock
from tests.mailbox import Mailbox

from identity.server import Clock, Service
from identity.settings import Settings
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions
from identity_pb.v1.auth_service_pb2_grpc import AuthServiceStub
from identity_pb.v1.session_service_pb2_grpc import SessionServiceStub

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

PASSWORD = "correct horse battery staple"
SECRET = "a master secret that only the tests know"
_numbers = count(1)


class Running:
    """A service that listens, its clock, the mails that arrived, and stubs that call it."""

    def __init__(self, service: Service, clock: ManualClock, mailbox: Mailbox, channel: grpc.aio.Channel) -> None:
        self.service = service
        self.clock = clock
        self.mailbox = mailbox
        self.channel = channel
        # The generated types follow the channel at run time; these name the asynchronous ones.
        self.auth: Any = AuthServiceStub(channel)
        self.sessions: Any = SessionServiceStub(channel)

    @property
    def world(self) -> Any:
        return self.service.world

    async def verified(self, email: str | None = None, password: str = PASSWORD) -> str:
        """The address of a new account that has proven it."""
        email = email or new_email()
        await self.auth.Register(auth.RegisterRequest(email=email, password=password, first_name="Ada"))
        await self.auth.VerifyEmail(auth.VerifyEmailRequest(token=await self.mailbox.token(email)))
        return email

    async def login(self, email: str, password: str = PASSWORD, **fields: Any) -> resources.SessionResult:
        """A finished sign-in."""
        response = await self.auth.Login(auth.LoginRequest(identifier=email, password=password, **fields))
        assert response.WhichOneof("result") == "session"
        return cast(resources.SessionResult, response.session)

    async def refresh(self, token: str) -> sessions.RefreshSessionResponse:
        return cast(
            sessions.RefreshSessionResponse,
            await self.sessions.RefreshSession(sessions.RefreshSessionRequest(refresh_token=token)),
        )

    async def get_session(self, access_token: str) -> sessions.GetSessionResponse:
        return cast(
            sessions.GetSessionResponse,
            await self.sessions.GetSession(sessions.GetSessionRequest(), metadata=bearer(access_token)),
        )


@asynccontextmanager
async def running(
    data_dir: Path,
    mailbox: Mailbox,
    *,
    clock: ManualClock | None = None,
    database_url: str = "",
    **settings: Any,
) -> AsyncIterator[Running]:
    """A service of its own on a free port, with cheap hashing and a clock that stands still."""
    clock = clock or ManualClock()
    defaults: dict[str, Any] = {
        "data_dir": data_dir,
        "database_url": database_url,
        "secret": SECRET,
        "grpc_address": "127.0.0.1:0",
        "mail_url": mailbox.url,
        "hashing_queue": 512,
    }
    service = Service(Settings(**{**defaults, **settings}), clock=Clock(now=clock), bcrypt_cost=4)
    await service.start()
    try:
        async with grpc.aio.insecure_channel(service.address) as channel:
            yield Running(service, clock, mailbox, channel)
    finally:
        await service.stop()


def new_email() -> str:
    """An address that no other test uses."""
    return f"person{next(_numbers)}@example.org"


def bearer(access_token: str) -> tuple[tuple[str, str], ...]:
    """The metadata that carries an access token."""
    return (("authorization", f"Bearer {access_token}"),)


class Refusal:
    """What a call was refused with."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.error = error
        self.code = error.code()
        self.message = error.details()
        self.info = ErrorInfo()
        self.fields: list[str] = []
        self.retry_after: float | None = None
        status = rpc_status.from_call(cast(grpc.Call, error))
        for detail in status.details if status else []:
            bad, retry = BadRequest(), RetryInfo()
            if detail.Unpack(self.info):
                continue
            if detail.Unpack(bad):
                self.fields = [violation.field for violation in bad.field_violations]
            elif detail.Unpack(retry):
                self.retry_after = retry.retry_delay.ToTimedelta().total_seconds()

    @property
    def reason(self) -> str:
        return self.info.reason


async def refused(call: Awaitable[object]) -> Refusal:
    """The refusal of a call that must not succeed."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return Refusal(error)
    raise AssertionError(f"the call succeeded: {type(answer).__name__}")
