"""Time: whether somebody is known here cannot be measured (LG-01, RC-03, by the method M14).

Calls for known and unknown names are made in interleaved pairs of random order, each the best of three, which is what
somebody would do who wants to know. Both samples have to be indistinguishable by the Mann-Whitney test (|z| < 3) and
their medians less than 5 % apart. On a busy machine 200 pairs may leave that open; then up to 600 are made, and all of
them count: what is noise gets smaller, what is a difference gets clearer.
"""

from __future__ import annotations

import gc
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from math import sqrt
from statistics import median
from time import perf_counter

import pytest
import pytest_asyncio
from tests.mailbox import Mailbox
from tests.running import WRONG_PASSWORD, Running, new_email, outcome, running

from identity_pb.v1 import auth_service_pb2 as pb

PAIRS = 200
BEST_OF = 3
NAMES = 25
Call = Callable[[str], Awaitable[object]]


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> AsyncIterator[Running]:
    """A service whose hashes cost enough to be what is measured, on the embedded database."""
    async with running(tmp_path_factory.mktemp("timing"), mailbox, bcrypt_cost=6, hashing_threads=1) as service:
        yield service


async def differences(service: Running, call: Call, known: list[str], unknown: list[str]) -> list[str]:
    """What tells the two apart, in words; nothing if nothing does."""
    rng = random.Random(7)
    taken: dict[bool, list[float]] = {True: [], False: []}
    names = {True: cycle(known), False: cycle(unknown)}
    found: list[str] = []
    for _ in range(3):
        with quiet():
            for _ in range(PAIRS):
                for is_known in rng.sample([True, False], 2):
                    taken[is_known].append(await seconds(service, call, next(names[is_known])))
        z = mann_whitney(taken[True], taken[False])
        gap = median(taken[True]) / median(taken[False]) - 1
        found = [f"z = {z:.2f}"] * (abs(z) >= 3) + [f"medians are {gap:.1%} apart"] * (abs(gap) >= 0.05)
        if not found:
            break
    return found


async def seconds(service: Running, call: Call, name: str) -> float:
    """The shortest time that a call takes."""
    fastest = float("inf")
    for _ in range(BEST_OF):
        # No budget of an earlier call is left, whoever it was for.
        service.clock.advance(hours=1)
        begun = perf_counter()
        await outcome(call(name))
        fastest = min(fastest, perf_counter() - begun)
    return fastest


def mann_whitney(one: list[float], two: list[float]) -> float:
    """How far the ranks of two samples are from those of one population, in standard deviations."""
    ranked = sorted([(value, True) for value in one] + [(value, False) for value in two])
    ranks = sum(rank for rank, (_, is_one) in enumerate(ranked, start=1) if is_one)
    n, m = len(one), len(two)
    u = ranks - n * (n + 1) / 2
    return (u - n * m / 2) / sqrt(n * m * (n + m + 1) / 12)


@contextmanager
def quiet() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def test_the_statistic_sees_a_difference() -> None:
    """Two equal samples are alike, and five per cent more is seen."""
    rng = random.Random(1)
    noise = [rng.gauss(100, 10) for _ in range(PAIRS)]
    other = [rng.gauss(100, 10) for _ in range(PAIRS)]
    assert abs(mann_whitney(noise, other)) < 3
    assert abs(mann_whitney(noise, [value * 1.05 for value in other])) > 3


async def test_LG_01_an_unknown_address_takes_as_long_as_a_wrong_password(service: Running) -> None:
    """Signing in hashes a password for everybody, whatever device token comes along."""
    known = [await service.verified() for _ in range(NAMES)]
    unknown = [new_email() for _ in range(NAMES)]
    tokens = ["", "garbage", (await service.signed_in()).device_token]
    shown = {name: tokens[n % 3] for names in (known, unknown) for n, name in enumerate(names)}

    async def guess(name: str) -> None:
        await service.login(name, WRONG_PASSWORD, device_token=shown[name])

    assert not await differences(service, guess, known, unknown)


async def test_RC_03_asking_for_a_mail_takes_as_long_for_anybody(service: Running) -> None:
    """The reply is given before anybody is looked up, for a reset as for another proof of the address."""
    known = [await service.registered() for _ in range(NAMES)]
    unknown = [new_email() for _ in range(NAMES)]
    # Its work is done later and elsewhere, and would only blur what is measured.
    service.service.dispatcher.stop()

    async def reset(name: str) -> None:
        await service.auth.RequestPasswordReset(pb.RequestPasswordResetRequest(identifier=name))

    async def resend(name: str) -> None:
        await service.auth.ResendVerification(pb.ResendVerificationRequest(email=name))

    assert not await differences(service, reset, known, unknown)
    assert not await differences(service, resend, known, unknown)
