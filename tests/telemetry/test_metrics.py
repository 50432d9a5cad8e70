"""What a service tells whoever scrapes it: everything that the table says, and nothing that somebody typed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import pytest_asyncio
from tests.conftest import FreshDatabase
from tests.forks import FORKS
from tests.mail.sink import closed_port
from tests.mailbox import Mailbox
from tests.running import PASSWORD, WRONG_PASSWORD, Running, coming_from, new_email, outcome, outcomes, refused, running
from tests.telemetry import bare
from tests.telemetry.scraping import fetch, scrape

from identity.domain.errors import ServiceUnavailable
from identity.settings import SettingsInvalid
from identity.telemetry import families
from identity.telemetry.readings import Readings
from identity_pb.v1 import auth_service_pb2 as auth

ANYWHERE = "127.0.0.1:0"


@pytest_asyncio.fixture(scope="module")
async def watched(
    fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Running]:
    """A service that can be scraped."""
    with fresh_database() as url:
        place = tmp_path_factory.mktemp("watched")
        async with running(place, mailbox, database_url=url, metrics_address=ANYWHERE) as service:
            yield service


async def test_every_family_of_the_table_is_there_as_the_table_says(watched: Running) -> None:
    await watched.get_session((await watched.signed_in()).tokens.access_token)
    await refused(watched.auth.ResendVerification(auth.ResendVerificationRequest(email="nobody")))

    found = {name: family for name, family in (await scrape(watched)).families.items() if name.startswith("identity_")}

    assert found.keys() == {family.name for family in families.FAMILIES}
    for family in families.FAMILIES:
        told = found[family.name]
        assert (told.type, told.documentation) == (family.kind.value, family.help)
        # A bucket has its bound beside the labels of its family.
        assert {label for sample in told.samples for label in sample.labels} <= {*family.labels, "le"}


async def test_what_happens_is_counted(watched: Running) -> None:
    before = await scrape(watched)
    email = await watched.verified()
    await refused(watched.login(email, WRONG_PASSWORD))
    signed_in = await watched.login(email)
    await watched.refresh(signed_in.tokens.refresh_token)
    await watched.sign_out(signed_in.tokens.access_token)
    await watched.auth.ResendVerification(auth.ResendVerificationRequest(email=new_email()))
    for _ in range(2):
        await watched.auth.RequestPasswordReset(auth.RequestPasswordResetRequest(identifier=email))
    await watched.mails_sent()
    after = await scrape(watched)

    def grown(name: str, **labels: str) -> float:
        return after.value(name, **labels) - before.value(name, **labels)

    login = "/identity.v1.AuthService/Login"
    assert grown("identity_call_seconds_count", method=login, code="OK") == 1
    assert grown("identity_call_seconds_count", method=login, code="UNAUTHENTICATED") == 1
    assert grown("identity_refusals_total", method=login, reason="INVALID_CREDENTIALS") == 1
    assert 0 < grown("identity_call_seconds_sum", method=login) < 60
    assert grown("identity_call_seconds_bucket", method=login, le="+Inf") == 2
    for event in ("account_registered", "email_verified", "sign_in_failed", "signed_in", "signed_out"):
        assert grown("identity_events_total", event=event) == (2 if event == "account_registered" else 1), event
    assert grown("identity_sessions_ended_total", reason="signed_out") == 1
    assert grown("identity_throttled_total", budget="address_mails") == 1
    assert grown("identity_mails_total", kind="password_reset", outcome="sent") == 1
    assert grown("identity_mails_total", kind="request_verification", outcome="unwanted") == 1
    assert grown("identity_database_unit_seconds_count", kind="write", outcome="done") > 5
    assert grown("identity_database_unit_seconds_count", kind="read", outcome="done") > 0


async def test_what_is_now_is_measured(watched: Running) -> None:
    await watched.get_session((await watched.signed_in()).tokens.access_token)
    first = await scrape(watched)
    watched.clock.advance(hours=1)
    second = await scrape(watched)

    assert first.value("identity_ready") == 1
    assert 0 <= first.value("identity_revocation_lag_seconds") < 5
    aged = second.value("identity_signing_key_age_seconds") - first.value("identity_signing_key_age_seconds")
    assert aged == pytest.approx(3600)
    assert first.value("identity_database_connections_limit", pool="readers") == 8
    # The scrape itself reads how long the outbox is, and has given its connection back by then or not yet.
    assert first.value("identity_database_connections_in_use", pool="readers") <= 1
    assert first.value("identity_outbox_waiting") == 0
    assert first.value("identity_hashing_waiting") == first.value("identity_hashing_running") == 0
    assert first.labels("identity_build_info")["database"] in ("sqlite", "postgresql")
    assert first.value("process_resident_memory_bytes") > 0 or sys.platform != "linux"


async def test_LO_02_nobody_makes_a_series(watched: Running) -> None:
    """Whoever comes, from wherever, with whatever: the series are those of the contract."""

    async def come(number: int) -> None:
        email, source = f"stranger{number}@example.org", coming_from(f"2001:db8:{number:x}::1")
        agent = (*source, ("x-request-id", f"id{number}"), ("x-client-user-agent", f"agent{number}"))
        await outcome(watched.auth.Login(auth.LoginRequest(identifier=email, password=PASSWORD), metadata=agent))
        made_up: Any = watched.channel.unary_unary(f"/identity.v1.AuthService/Made{number}")
        await outcome(made_up(b""))

    await come(0)
    before = await scrape(watched)
    for number in range(1, 41):
        await come(number)
    after = await scrape(watched)

    assert (
        after.value("identity_events_total", event="sign_in_failed")
        - before.value("identity_events_total", event="sign_in_failed")
        == 40
    )
    assert after.series == before.series


async def test_LO_01_no_secret_and_nobody_is_told_of(watched: Running) -> None:
    email = await watched.verified(first_name="Lovelace")
    token = await watched.reset_token(email)
    tokens = (await watched.login(email)).tokens
    await watched.reset(token)
    text = (await scrape(watched)).text

    told = [
        PASSWORD,
        email,
        "Lovelace",
        token,
        tokens.access_token,
        tokens.refresh_token,
        str(watched.account(email).id),
    ]
    assert [secret for secret in told if secret in text] == []


async def test_a_backlog_is_seen_while_the_relay_is_away(tmp_path: Path, mailbox: Mailbox) -> None:
    away = f"smtp://127.0.0.1:{closed_port()}"
    async with running(tmp_path, mailbox, metrics_address=ANYWHERE, mail_url=away) as service:
        for _ in range(3):
            await service.registered()

        assert (await scrape(service)).value("identity_outbox_waiting") == 3


async def test_AV_01_what_the_hashing_lane_sheds_is_counted(tmp_path: Path, mailbox: Mailbox) -> None:
    bounds: dict[str, Any] = {"hashing_threads": 1, "hashing_queue": 1}
    async with running(tmp_path, mailbox, metrics_address=ANYWHERE, **bounds) as service:
        _, refusals = await outcomes(service.login(new_email()) for _ in range(40))
        shed = sum(refusal.reason == "OVERLOADED" for refusal in refusals)
        seen = await scrape(service)

    assert seen.value("identity_hashing_shed_total") == shed > 0
    assert seen.value("identity_refusals_total", reason="OVERLOADED") == shed


async def test_N_29_the_endpoint_answers_one_question(watched: Running) -> None:
    base = f"http://{watched.service.metrics_address}"

    def ask(request: Request) -> int:
        with pytest.raises(HTTPError) as refused:
            urlopen(request, timeout=10)
        refused.value.close()
        return refused.value.code

    assert await asyncio.to_thread(ask, Request(f"{base}/")) == 404
    assert await asyncio.to_thread(ask, Request(f"{base}/metrics/..%2f")) == 404
    assert await asyncio.to_thread(ask, Request(f"{base}/metrics", method="DELETE")) == 501
    assert "identity_ready 1.0" in await asyncio.to_thread(fetch, f"{base}/metrics?name=x")


async def test_an_address_in_use_stops_the_start(watched: Running, tmp_path: Path, mailbox: Mailbox) -> None:
    with pytest.raises(SettingsInvalid, match=r"IDENTITY_METRICS_ADDRESS=.* cannot be served on"):
        async with running(tmp_path, mailbox, metrics_address=watched.service.metrics_address):
            pass


def test_what_the_database_cannot_tell_is_left_out() -> None:
    def away() -> float:
        raise ServiceUnavailable

    told = Readings({families.OUTBOX: away, families.REVOCATION_LAG: lambda: None, families.READY: lambda: 0.0})

    assert [family.name for family in told.collect()] == ["identity_ready"]


def test_a_service_that_nobody_watches_loads_nothing_of_it(tmp_path: Path) -> None:
    """What is off costs nothing."""
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=bare.build, args=(tmp_path, theirs))
    process.start()
    theirs.close()

    assert ours.recv() == []
    process.join()
