"""F-22: the master secret changes, and nobody notices; and without the old one nothing of before is believed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from tests.cli.command import call
from tests.clock import ManualClock
from tests.conftest import FreshDatabase
from tests.mailbox import Mailbox
from tests.running import PASSWORD, Running, refused, running
from tests.second_factor import Enrolled, challenged, enrolled, verify

OLD = "the secret that this place began with"
NEW = "the secret that it goes on with for ever"


async def proves(service: Running, person: Enrolled) -> bool:
    """Whether somebody comes in with the next code of their app."""
    service.clock.advance(minutes=1)
    answer = await service.auth.VerifyOtp(verify(await challenged(service, person.email), totp=person.code(service)))
    return str(answer.session.account.email) == person.email


Start = Callable[[str, str], AbstractAsyncContextManager[Running]]


@pytest.fixture
def start(fresh_database: FreshDatabase, tmp_path: Path, mailbox: Mailbox) -> Iterator[Start]:
    """Starts the service of one place, with a secret and old ones."""
    clock = ManualClock()
    with fresh_database() as url:

        @asynccontextmanager
        async def with_secrets(secret: str, old: str) -> AsyncIterator[Running]:
            async with running(
                tmp_path, mailbox, clock=clock, database_url=url, secret=secret, old_secrets=old
            ) as service:
                yield service

        yield with_secrets


async def test_F_22_everything_of_before_goes_on_under_the_new_secret(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start(OLD, "") as service:
        person = await enrolled(service)
        signed_in = await service.signed_in(remember=True)
        email, sleeper = signed_in.account.email, await service.verified()
        url = service.database_url

    async with start(NEW, OLD) as service:
        assert (await service.get_session(signed_in.tokens.access_token)).account.email == email
        refreshed = await service.refresh(signed_in.tokens.refresh_token)
        await service.login(email)
        assert await proves(service, person)

    monkeypatch.setenv("IDENTITY_DATABASE_URL", url)
    monkeypatch.setenv("IDENTITY_SECRET", NEW)
    monkeypatch.setenv("IDENTITY_OLD_SECRETS", OLD)
    before, reseal = call("secret", "status").output, call("secret", "reseal").output
    assert "Sealed    2;" in before  # a signing key and a factor
    assert "Passwords 1;" in before
    assert "Sealed anew: 2." in reseal
    assert "Sealed    0" in reseal

    async with start(NEW, "") as service:
        service.clock.advance(minutes=1)
        assert (await service.refresh(refreshed.tokens.refresh_token)).session_id == refreshed.session_id
        await service.login(email)
        assert await proves(service, person)
        # Who did not come back meanwhile gets a new password by mail.
        assert (await refused(service.login(sleeper))).reason == "INVALID_CREDENTIALS"
        await service.reset(await service.reset_token(sleeper), PASSWORD + " again")
        await service.login(sleeper, PASSWORD + " again")


async def test_F_22_two_replicas_in_the_middle_of_the_change_read_each_other(start: Start) -> None:
    """One still works with the old secret and knows the new one, the other the other way round."""
    async with start(OLD, NEW) as before, start(NEW, OLD) as after:
        signed_in = await before.signed_in(remember=True)
        for service in (after, before, after):
            refreshed = await service.refresh(signed_in.tokens.refresh_token)
            signed_in.tokens.refresh_token = refreshed.tokens.refresh_token
            assert (await service.get_session(refreshed.tokens.access_token)).account.email == signed_in.account.email
            await service.login(signed_in.account.email)


async def test_SE_01_without_the_old_secret_nothing_of_before_is_believed(start: Start) -> None:
    """A service with a secret that never sealed anything here does not even start (see the tests of `check`)."""
    async with start(OLD, "") as service:
        signed_in = await service.signed_in(remember=True)
    async with start(NEW, OLD) as service:
        service.world.database.write(
            lambda tx: tx.sealed.reseal(
                service.world.vault.is_current, lambda sealed, context: reseal(service, sealed, context)
            )
        )
    async with start(NEW, "") as service:
        assert (await refused(service.refresh(signed_in.tokens.refresh_token))).reason == "TOKEN_INVALID"
        assert (await refused(service.login(signed_in.account.email))).reason == "INVALID_CREDENTIALS"


def reseal(service: Running, sealed: bytes, context: str) -> bytes:
    return bytes(service.world.vault.seal(service.world.vault.open(sealed, context), context))
