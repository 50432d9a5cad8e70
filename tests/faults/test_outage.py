"""F-11, AV-02: a database that goes away, in three ways, under everything that calls a service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import Any

import grpc
import pytest
import pytest_asyncio
from tests.child import Child, child
from tests.effort import LONG
from tests.faults.probes import Seat, probing, watching_health
from tests.mailbox import Mailbox
from tests.postgres import Cluster
from tests.relay import Relay
from tests.running import PASSWORD, Client, new_email
from tests.stopwatch import Stopwatch

from identity.store import migrate
from identity_pb.v1 import auth_service_pb2 as auth

OUTAGE_SECONDS = 30.0 if LONG else 3.0
ANSWER_SECONDS = 3.0
NOTICE_SECONDS = 2.0
RETURN_SECONDS = 2.0
CALLERS = 12
MEGABYTE = 2**20


@dataclass(frozen=True)
class Place:
    """A service whose database is a server of its own, behind a relay."""

    cluster: Cluster
    relay: Relay
    service: Child
    client: Client
    seats: list[Seat]


@pytest_asyncio.fixture(scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> AsyncIterator[Place]:
    with closing(Cluster()) as cluster, Relay(cluster.socket) as relay:
        url = cluster.create()
        migrate.upgrade(url)
        settings: dict[str, Any] = {"database_url": relay.url(url), "mail_url": mailbox.url}
        async with (
            child(tmp_path_factory.mktemp("outage"), **settings) as service,
            grpc.aio.insecure_channel(service.address) as channel,
        ):
            client = Client(channel)
            seats = [await seat(client, mailbox) for _ in range(CALLERS)]
            yield Place(cluster, relay, service, client, seats)


async def seat(client: Client, mailbox: Mailbox) -> Seat:
    """Somebody new who has signed in."""
    email = new_email()
    await client.auth.Register(auth.RegisterRequest(email=email, password=PASSWORD))
    await client.auth.VerifyEmail(auth.VerifyEmailRequest(token=await mailbox.token(email)))
    return Seat(email, (await client.login(email)).tokens)


WAYS: dict[str, tuple[Callable[[Place], None], Callable[[Place], None]]] = {
    "refused": (lambda place: place.relay.refuse(), lambda place: place.relay.accept()),
    "hung": (lambda place: place.cluster.freeze(), lambda place: place.cluster.thaw()),
    "swallowed": (lambda place: place.relay.swallow(), lambda place: place.relay.deliver()),
}


@pytest.mark.parametrize("way", WAYS)
async def test_F_11_an_outage_is_told_as_what_it_is_and_ends_when_it_ends(place: Place, way: str) -> None:
    """UNAVAILABLE within three seconds and nothing else; not ready within two, and well again within two; nobody is
    signed out by it."""
    begin, end = WAYS[way]
    memory = await place.service.peak_memory()
    async with (
        watching_health(place.client.channel) as readiness,
        probing(place.client, place.seats, pause=0.1) as probes,
    ):
        with Stopwatch() as watch:
            await probes.succeed(0)
            await asyncio.to_thread(begin, place)
            began = monotonic()
            not_ready = await readiness.becomes(False, began)
            await asyncio.sleep(max(0.0, began + OUTAGE_SECONDS - monotonic()))
            await asyncio.to_thread(end, place)
            ended = monotonic()
            ready = await readiness.becomes(True, ended)
            await probes.succeed(ended + RETURN_SECONDS)

    assert watch.between(began, not_ready) <= NOTICE_SECONDS
    assert watch.between(ended, ready) <= RETURN_SECONDS
    failed = [probe for probe in probes.seen if not probe.ok]
    assert {(probe.code, probe.reason) for probe in failed} == {(grpc.StatusCode.UNAVAILABLE, "SERVICE_UNAVAILABLE")}
    assert {probe.name for probe in failed} == {probe.name for probe in probes.seen}
    assert max(watch.between(probe.begun, probe.ended) for probe in failed) <= ANSWER_SECONDS
    assert max(watch.between(ended, probe.begun) for probe in failed) <= RETURN_SECONDS
    assert await place.service.peak_memory() - memory < 50 * MEGABYTE


async def test_F_11_AV_01_sign_ins_do_not_learn_of_an_outage_one_after_the_other(place: Place) -> None:
    """They share a few threads: one waits for the database, the others for it, and who comes later for nobody."""
    async with probing(place.client, place.seats[-3:], pause=0.2, mix=[Seat.sign_in]) as probes:
        with Stopwatch() as watch:
            await probes.succeed(0)
            place.relay.swallow()
            began = monotonic()
            await asyncio.sleep(ANSWER_SECONDS + 1.5)
            place.relay.deliver()
            await probes.succeed(monotonic())
    failed = {probe: watch.between(probe.begun, probe.ended) for probe in probes.seen if not probe.ok}
    assert max(failed.values()) <= ANSWER_SECONDS + 0.5
    later = [seconds for probe, seconds in failed.items() if probe.begun > began + ANSWER_SECONDS + 0.5]
    assert later
    assert max(later) < 0.5
