"""A running service and a real client for it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import UUID

import grpc
import grpc.aio
import structlog
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from grpc_status import rpc_status
from sqlalchemy import Executable, func, select, update
from tests.clock import ManualClock
from tests.mailbox import Mailbox

from identity.domain.accounts import Account
from identity.domain.authentication import learn_revocations
from identity.domain.service_access import learn_service_keys
from identity.rpc.log import CallLog
from identity.server import Clock, Service
from identity.settings import Settings
from identity.store.tables import audit_events, throttles
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions
from identity_pb.v1.account_service_pb2_grpc import AccountServiceStub
from identity_pb.v1.auth_service_pb2_grpc import AuthServiceStub
from identity_pb.v1.factor_service_pb2_grpc import FactorServiceStub
from identity_pb.v1.invite_service_pb2_grpc import InviteServiceStub
from identity_pb.v1.session_service_pb2_grpc import SessionServiceStub
from identity_pb.v1.tenant_service_pb2_grpc import TenantServiceStub

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
# What nobody reads is not rendered: a test that reads the log configures it (tests/logs.py).
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))

T = TypeVar("T")
Metadata = tuple[tuple[str, str], ...]

PASSWORD = "correct horse battery staple"
OTHER_PASSWORD = "another horse battery staple"
WRONG_PASSWORD = "wrong horse battery staple"
SECRET = "a master secret that only the tests know"
_numbers = count(1)


class Client:
    """One connection, and the calls that tests make all the time."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        # The generated types follow the channel at run time; these name the asynchronous ones.
        self.auth: Any = AuthServiceStub(channel)
        self.sessions: Any = SessionServiceStub(channel)
        self.factors: Any = FactorServiceStub(channel)
        self.invites: Any = InviteServiceStub(channel)
        self.accounts: Any = AccountServiceStub(channel)
        self.tenants: Any = TenantServiceStub(channel)

    async def login(
        self, email: str, password: str = PASSWORD, *, metadata: Metadata = (), **fields: Any
    ) -> resources.SessionResult:
        """A finished sign-in."""
        request = auth.LoginRequest(identifier=email, password=password, **fields)
        response = await self.auth.Login(request, metadata=metadata)
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

    async def sign_out(self, access_token: str) -> None:
        await self.sessions.SignOut(sessions.SignOutRequest(), metadata=bearer(access_token))

    async def change_password(self, access_token: str, current: str, new: str) -> auth.ChangePasswordResponse:
        request = auth.ChangePasswordRequest(current_password=current, new_password=new)
        return cast(auth.ChangePasswordResponse, await self.auth.ChangePassword(request, metadata=bearer(access_token)))

    async def reset(self, token: str, password: str = OTHER_PASSWORD) -> None:
        await self.auth.ResetPassword(auth.ResetPasswordRequest(token=token, new_password=password))


class Running(Client):
    """A service that listens, its clock, the mails that arrived, and a client that calls it."""

    def __init__(self, service: Service, clock: ManualClock, mailbox: Mailbox, channel: grpc.aio.Channel) -> None:
        super().__init__(channel)
        self.service = service
        self.clock = clock
        self.mailbox = mailbox

    @property
    def world(self) -> Any:
        return self.service.world

    @property
    def database_url(self) -> str:
        return self.service.settings.database

    @asynccontextmanager
    async def clients(self, number: int, **options: Any) -> AsyncIterator[list[Client]]:
        """Clients with a connection each."""
        arguments = [("grpc.use_local_subchannel_pool", 1), *(options.items())]
        async with AsyncExitStack() as stack:
            channels = [grpc.aio.insecure_channel(self.service.address, arguments) for _ in range(number)]
            yield [Client(await stack.enter_async_context(channel)) for channel in channels]

    def tend(self) -> None:
        """What the service does by itself every now and then, done now."""
        learn_revocations(self.world)
        learn_service_keys(self.world)
        self.service._key_ring.load()

    # People.

    async def registered(self, email: str | None = None, password: str = PASSWORD, **fields: Any) -> str:
        """The address of a new account, which nobody has proven yet."""
        email = email or new_email()
        await self.auth.Register(auth.RegisterRequest(email=email, password=password, **fields))
        return email

    async def verified(self, email: str | None = None, password: str = PASSWORD, **fields: Any) -> str:
        """The address of a new account that has proven it."""
        email = await self.registered(email, password, **fields)
        token = await self.mailbox.token(email)
        await self.auth.VerifyEmail(auth.VerifyEmailRequest(token=token))
        return email

    async def signed_in(self, **fields: Any) -> resources.SessionResult:
        """The sign-in of a new person."""
        return await self.login(await self.verified(), **fields)

    async def reset_token(self, email: str) -> str:
        """The token of a fresh reset mail."""
        self.clock.advance(minutes=2)
        sent = self.events("password_reset_sent", email)
        await self.auth.RequestPasswordReset(auth.RequestPasswordResetRequest(identifier=email, locale="en"))
        return await self.mailbox.token(email, sent + 1, subject="Choose a new password")

    async def mails_sent(self, **fields: Any) -> None:
        """Returns when every mail that was queued before has been dealt with.

        `fields` are what the preset wants of somebody who registers.
        """
        self.clock.advance(seconds=1)
        await self.mailbox.wait(await self.registered(**fields))

    # What the database holds.

    def rows(self, statement: Executable) -> Sequence[Any]:
        """The rows of a query."""
        return cast("Sequence[Any]", self.world.database.read(lambda tx: tx._connection.execute(statement).all()))

    def execute(self, statement: Executable) -> None:
        """Change rows behind the back of the service."""
        self.world.database.write(lambda tx: tx._connection.execute(statement) and None)

    def account(self, email: str) -> Account:
        """The account with this address."""
        account = self.world.database.read(lambda tx: tx.accounts.find(email=email))
        assert isinstance(account, Account)
        return account

    def set_failures(self, kind: str, of: str, failures: int, minutes: int = 0) -> None:
        """Write so many failures into a budget that has some, and for how many minutes nobody gets another try."""
        row = update(throttles).where(throttles.c.key == self.world.throttle_keys.digest(kind, of))
        change = row.values(charges=failures, until=self.clock.now + timedelta(minutes=minutes))
        assert self.world.database.write(lambda tx: tx._connection.execute(change).rowcount) == 1

    def events(self, event: str, of: str | UUID | None = None) -> int:
        """How often something happened, to one account (by its address or id) or at all."""
        query = select(func.count()).select_from(audit_events).where(audit_events.c.event == event)
        if of is not None:
            query = query.where(audit_events.c.account_id == (self.account(of).id if isinstance(of, str) else of))
        return int(self.rows(query)[0][0])


@asynccontextmanager
async def running(
    data_dir: Path,
    mailbox: Mailbox,
    *,
    clock: ManualClock | None = None,
    database_url: str = "",
    bcrypt_cost: int = 4,
    log: CallLog | None = None,
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
        # More than most machines get, so that sign-ins meet each other.
        "hashing_threads": 8,
    }
    service = Service(
        Settings(**{**defaults, **settings}), clock=Clock(now=clock), bcrypt_cost=bcrypt_cost, log=log or _no_log
    )
    try:
        await service.start()
        # A clock that leaps over the life of a key would be ahead of a service that looks once a minute.
        clock.after_leaps.append(service._key_ring.load)
        async with grpc.aio.insecure_channel(service.address) as channel:
            yield Running(service, clock, mailbox, channel)
    finally:
        clock.after_leaps = [each for each in clock.after_leaps if each != service._key_ring.load]
        await service.stop()


def _no_log(*call: object, **fields: object) -> None:
    """The log of calls, kept quiet."""


def new_email() -> str:
    """An address that no other test uses."""
    return f"person{next(_numbers)}@example.org"


def bearer(access_token: str) -> Metadata:
    """The metadata that carries an access token."""
    return (("authorization", f"Bearer {access_token}"),)


def coming_from(address: str) -> Metadata:
    """The metadata by which a trusted hop says where a call comes from."""
    return (("x-client-ip", address),)


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

    @property
    def on_the_wire(self) -> tuple[object, ...]:
        """Everything a client gets, but for the id that every call has of its own."""
        trailing = sorted((key, value) for key, value in self.error.trailing_metadata() if key != "x-request-id")
        return self.code, self.message, tuple(self.error.initial_metadata()), tuple(trailing)

    def __repr__(self) -> str:
        return f"Refusal({self.code}, {self.reason}, {self.fields})"


async def refused(call: Awaitable[object]) -> Refusal:
    """The refusal of a call that must not succeed."""
    answer = await outcome(call)
    assert isinstance(answer, Refusal), f"the call succeeded: {type(answer).__name__}"
    return answer


async def outcome(call: Awaitable[T]) -> T | Refusal:
    """What came of a call."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        return Refusal(error)


async def outcomes(calls: Iterable[Awaitable[T]]) -> tuple[list[T], list[Refusal]]:
    """What came of calls made at the same time: the answers and the refusals."""
    results = await asyncio.gather(*map(outcome, calls))
    answers = [result for result in results if not isinstance(result, Refusal)]
    return answers, [result for result in results if isinstance(result, Refusal)]
