"""Guessing from 64 connections at two processes that share a database, which are killed meanwhile (F-08, N-02, N-03).

On SQLite it is one process. Their clocks are real, so a budget may give one more guess whenever a wait is over: how
many there can have been is reckoned from the time that it took.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time
from typing import Any

import grpc.aio
import pyotp
import pytest
from sqlalchemy import Connection, create_engine, func, select, update
from tests.child import Child
from tests.conftest import FreshDatabase
from tests.running import PASSWORD, SECRET, WRONG_PASSWORD, Client, Refusal, bearer, new_email, outcome
from tests.second_factor import verify

from identity.crypto.keyring import Keyring
from identity.crypto.throttle_keys import ThrottleKeys
from identity.domain.throttles import PASSWORD_ATTEMPTS
from identity.store.tables import accounts, audit_events, throttles
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors

CONNECTIONS, GUESSES = 64, 192
KEYS = ThrottleKeys(Keyring(SECRET).throttle)
Guess = Callable[[Client], Awaitable[Any]]


class Deployment:
    """The processes of one database, their common clock, and 64 clients spread over them."""

    def __init__(self, directory: Path, url: str) -> None:
        self.url = url
        self._directory = directory
        self._ahead = 0.0
        self._children: list[Child] = []
        self._stack = AsyncExitStack()
        self.clients: list[Client] = []

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead)

    async def start(self) -> None:
        number = 2 if self.url.startswith("postgresql") else 1
        settings = {"database_url": self.url, "mail_url": f"file://{self._directory}"}
        starting = (Child.start(self._directory, ahead=self._ahead, **settings) for _ in range(number))
        self._children = list(await asyncio.gather(*starting))
        for n in range(CONNECTIONS):
            address, own = self._children[n % number].address, [("grpc.use_local_subchannel_pool", 1)]
            self.clients.append(Client(await self._stack.enter_async_context(grpc.aio.insecure_channel(address, own))))

    async def kill(self) -> None:
        """kill -9 to all of them."""
        await self._stack.aclose()
        for child in self._children:
            child.kill()
            assert await child.ended() == -9
            child.close()
        self.clients, self._children = [], []

    async def advance(self, seconds: float) -> None:
        self._ahead += seconds
        for child in self._children:
            await child.advance(seconds)

    async def burst(self, guesses: Sequence[Guess]) -> list[Any]:
        """What comes of guesses made at once, over all connections."""
        calls = (guess(self.clients[n % CONNECTIONS]) for n, guess in enumerate(guesses))
        return list(await asyncio.gather(*map(outcome, calls)))

    # What the database holds.

    def charges(self, kind: str, of: str) -> int:
        """How many guesses at something were looked at since the last right one."""
        with self._connection() as connection:
            row = select(throttles.c.charges).where(throttles.c.key == KEYS.digest(kind, of))
            return connection.execute(row).scalar() or 0

    def fail(self, kind: str, of: str, failures: int) -> None:
        """Write so many failures into a budget that has some, the last of them long ago."""
        with self._connection() as connection:
            row = update(throttles).where(throttles.c.key == KEYS.digest(kind, of))
            connection.execute(row.values(charges=failures, until=self.now))

    def events(self, event: str, account_id: Any) -> int:
        with self._connection() as connection:
            rows = select(func.count()).where(audit_events.c.event == event, audit_events.c.account_id == account_id)
            return int(connection.execute(rows).scalar_one())

    async def resident(self) -> tuple[str, Any]:
        """Somebody with a proven address, and the account's id."""
        email = new_email()
        await self.clients[0].auth.Register(auth.RegisterRequest(email=email, password=PASSWORD))
        with self._connection() as connection:
            proof = update(accounts).where(accounts.c.email == email).values(email_verified_at=self.now)
            return email, connection.execute(proof.returning(accounts.c.id)).scalar_one()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        engine = create_engine(self.url.replace("postgresql://", "postgresql+psycopg://"))
        with engine.begin() as connection:
            yield connection
        engine.dispose()


@pytest.fixture
async def deployment(fresh_database: FreshDatabase, tmp_path: Path) -> AsyncIterator[Deployment]:
    with fresh_database() as url:
        deployment = Deployment(tmp_path, url)
        await deployment.start()
        yield deployment
        await deployment.kill()


def most(failures: int, seconds: float) -> int:
    """How many failures there can be, when there were so many, after so long a time."""
    budget = PASSWORD_ATTEMPTS
    while (wait := budget.wait_after(failures).total_seconds()) <= seconds:
        seconds -= wait
        failures += 1
    return failures


def assert_refused_alike(answers: list[Any], reason: str) -> None:
    assert {answer.reason if isinstance(answer, Refusal) else "let in" for answer in answers} == {reason}
    assert len({answer.on_the_wire for answer in answers}) == 1


async def test_F_08_N_02_N_03_passwords(deployment: Deployment) -> None:
    """Neither connections nor processes, nor killing them, give more guesses; a right one behind them is refused."""
    email, account_id = await deployment.resident()
    key = ("password", str(account_id))

    def guess(password: str = WRONG_PASSWORD) -> Guess:
        return lambda client: client.login(email, password)

    begun = time()
    assert_refused_alike(await deployment.burst([guess()] * GUESSES), "INVALID_CREDENTIALS")
    looked_at = deployment.events("sign_in_failed", account_id)
    assert 5 <= looked_at == deployment.charges(*key) <= most(0, time() - begun)

    # Far enough for the waits to be longer than what is left of the test; then one guess is free, for everybody.
    deployment.fail(*key, 14)
    hidden = [guess() if n != 100 else guess(PASSWORD) for n in range(GUESSES)]
    await deployment.burst([guess()] * CONNECTIONS)
    assert deployment.charges(*key) == 15
    assert_refused_alike(await deployment.burst(hidden), "INVALID_CREDENTIALS")
    await deployment.kill()
    await deployment.start()
    assert_refused_alike(await deployment.burst(hidden[64:128]), "INVALID_CREDENTIALS")
    assert deployment.charges(*key) == 15

    deployment.fail(*key, 99)
    await deployment.burst([guess()] * CONNECTIONS)
    assert (deployment.charges(*key), deployment.events("account_locked", account_id)) == (100, 1)
    await deployment.kill()
    await deployment.start()
    await deployment.advance(86_400)
    assert_refused_alike(await deployment.burst([guess(PASSWORD)] * 4), "INVALID_CREDENTIALS")


async def test_F_08_N_02_N_11_codes(deployment: Deployment) -> None:
    """The same of an app's codes over many challenges; and a code that was used stays used up."""
    email, account_id = await deployment.resident()
    key = ("code", f"{account_id}:totp")
    client = deployment.clients[0]
    metadata = bearer((await client.login(email)).tokens.access_token)
    begin = factors.BeginTotpEnrollmentRequest(current_password=PASSWORD)
    begun = await client.factors.BeginTotpEnrollment(begin, metadata=metadata)
    app = pyotp.TOTP(begun.secret)
    confirm = factors.ConfirmTotpEnrollmentRequest(enrollment_token=begun.enrollment_token, code=app.at(deployment.now))
    await client.factors.ConfirmTotpEnrollment(confirm, metadata=metadata)
    await deployment.advance(60)

    async def challenges() -> list[str]:
        # Who knows the password and has no code may begin five sign-ins; here they get as many as they like.
        deployment.fail("password", str(account_id), 0)
        login = auth.LoginRequest(identifier=email, password=PASSWORD)
        answers = await deployment.burst([lambda client: client.auth.Login(login)] * 4)
        assert not [answer for answer in answers if isinstance(answer, Refusal)]
        return [answer.mfa_challenge.challenge_token for answer in answers]

    def guess(token: str, code: str) -> Guess:
        return lambda client: client.auth.VerifyOtp(verify(token, totp=code))

    right = app.at(deployment.now)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    began = time()
    tokens = [token for _ in range(12) for token in await challenges()]
    answers = await deployment.burst([guess(token, wrong) for token in tokens for _ in range(4)])
    assert {answer.reason for answer in answers} == {"OTP_INVALID"}
    assert 5 <= deployment.charges(*key) <= most(0, time() - began)

    deployment.fail(*key, 14)
    tokens = [token for _ in range(4) for token in await challenges()]
    await deployment.burst([guess(token, wrong) for token in tokens[:8]])
    assert deployment.charges(*key) == 15
    right = app.at(deployment.now)
    hidden = [guess(token, wrong) for token in tokens[8:] for _ in range(3)]
    hidden[11:11] = [guess(token, right) for token in tokens[8:]]
    assert_refused_alike(await deployment.burst(hidden), "OTP_INVALID")
    await deployment.kill()
    await deployment.start()
    assert_refused_alike(await deployment.burst([guess(tokens[-1], app.at(deployment.now))]), "OTP_INVALID")
    assert deployment.charges(*key) == 15

    await deployment.advance(1000)
    used = app.at(deployment.now)
    one, two, *_ = await challenges()
    (entered,) = await deployment.burst([guess(one, used)])
    assert entered.session.session.amr == ["pwd", "otp", "mfa"]
    await deployment.kill()
    await deployment.start()
    assert_refused_alike(await deployment.burst([guess(two, used)]), "OTP_INVALID")
