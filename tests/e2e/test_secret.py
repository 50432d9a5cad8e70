"""F-22: the master secret changes, and nobody notices; and without the old one nothing of before is believed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.cli.command import call
from tests.clock import ManualClock
from tests.conftest import FreshDatabase
from tests.mailbox import Mailbox
from tests.residents import codes_by_mail, resident
from tests.running import OTHER_PASSWORD, PASSWORD, WRONG_PASSWORD, Running, bearer, refused, running
from tests.second_factor import Enrolled, challenged, enrolled, verify

from identity.store.sealed_rows import AT_ONCE
from identity.store.tables import push_devices
from identity_pb.v1 import factor_service_pb2 as factors

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


async def test_F_22_OT_07_recovery_codes_of_before_work_and_are_counted(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They cannot be sealed anew: the old secret is needed until their owner makes others."""
    async with start(OLD, "") as service:
        person = await enrolled(service)
        monkeypatch.setenv("IDENTITY_DATABASE_URL", service.database_url)
    monkeypatch.setenv("IDENTITY_SECRET", NEW)
    monkeypatch.setenv("IDENTITY_OLD_SECRETS", OLD)

    async with start(NEW, OLD) as service:
        one, other = person.recovery_codes[:2]
        for code in (one, other):
            answer = await service.auth.VerifyOtp(verify(await challenged(service, person.email), recovery_code=code))
            assert answer.session.account.email == person.email
        again = verify(await challenged(service, person.email), recovery_code=one)
        assert (await refused(service.auth.VerifyOtp(again))).reason == "OTP_INVALID"
        before = call("secret", "reseal").output
        service.clock.advance(minutes=1)
        renew = factors.RegenerateRecoveryCodesRequest(current_password=PASSWORD)
        renew.second_factor.totp = person.code(service)
        mine = bearer(answer.session.tokens.access_token)
        codes = (await service.factors.RegenerateRecoveryCodes(renew, metadata=mine)).recovery_codes
        after = call("secret", "status").output
    assert "Codes     1;" in before
    assert "Nothing" not in before
    assert "Codes     0\n" in after
    assert "Nothing: IDENTITY_OLD_SECRETS can go" in after

    async with start(NEW, "") as service:
        await service.auth.VerifyOtp(verify(await challenged(service, person.email), recovery_code=codes[0]))


async def test_F_22_more_than_one_unit_of_work_takes_is_sealed_anew(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, no unit of work is longer than a few."""
    devices = 2 * AT_ONCE + 1
    async with start(OLD, "") as service:
        who, vault, now = resident(service), service.world.vault, service.clock.now
        rows: list[dict[str, Any]] = []
        for number in range(devices):
            device_id = uuid4()
            sealed = vault.seal(b"a token", context=f"push:{device_id}")
            digest = number.to_bytes(32)
            rows.append({"id": device_id, "account_id": who.account.id, "session_id": uuid4(), "digest": digest})
            rows[-1] |= {"sealed": sealed, "platform": "ios", "created_at": now}
        service.execute(push_devices.insert().values(rows))
        monkeypatch.setenv("IDENTITY_DATABASE_URL", service.database_url)
    monkeypatch.setenv("IDENTITY_SECRET", NEW)
    monkeypatch.setenv("IDENTITY_OLD_SECRETS", OLD)
    assert f"Sealed    {devices + 1};" in call("secret", "status").output
    reseal = call("secret", "reseal").output
    assert f"Sealed anew: {devices + 1}." in reseal
    assert "Sealed    0" in reseal


async def test_F_22_OT_04_a_code_mailed_by_one_replica_works_on_the_other(start: Start) -> None:
    async with start(OLD, NEW) as before, start(NEW, OLD) as after:
        for number, (sender, taker) in enumerate([(before, after), (after, before)]):
            who = resident(before)
            codes_by_mail(before, who.account)
            token = await challenged(sender, who.email)
            code = await before.mailbox.alone(who.email, "[0-9]{6}", 1)
            answer = await taker.auth.VerifyOtp(verify(token, email_code=code))
            assert answer.session.account.email == who.email, number


async def test_F_22_LG_02_a_disabled_password_stays_disabled_under_the_new_secret(start: Start) -> None:
    """Its hundred failures are counted under the old secret; that it is disabled is not forgotten with them."""
    async with start(OLD, "") as service:
        email = await service.verified()
        await refused(service.login(email, WRONG_PASSWORD))
        service.set_failures("password", str(service.account(email).id), 99)
        await refused(service.login(email, WRONG_PASSWORD))
    async with start(NEW, OLD) as service:
        assert (await refused(service.login(email))).reason == "INVALID_CREDENTIALS"
        await service.reset(await service.reset_token(email))
        await service.login(email, OTHER_PASSWORD)


async def test_SE_01_without_the_old_secret_nothing_of_before_is_believed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service with a secret that never sealed anything here does not even start (see the tests of `check`)."""
    async with start(OLD, "") as service:
        signed_in = await service.signed_in(remember=True)
        monkeypatch.setenv("IDENTITY_DATABASE_URL", service.database_url)
    monkeypatch.setenv("IDENTITY_SECRET", NEW)
    monkeypatch.setenv("IDENTITY_OLD_SECRETS", OLD)
    call("secret", "reseal")
    async with start(NEW, "") as service:
        assert (await refused(service.refresh(signed_in.tokens.refresh_token))).reason == "TOKEN_INVALID"
        assert (await refused(service.login(signed_in.account.email))).reason == "INVALID_CREDENTIALS"
