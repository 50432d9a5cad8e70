"""Time: whether somebody is known here cannot be measured (LG-01, RC-03, by the method M14).

Calls for known and unknown names are made in interleaved pairs of random order. Both samples have to be
indistinguishable by the Mann-Whitney test (|z| < 3), and their medians less than 5 % apart, by the clock on the wall
and by the time that this process had a processor. Whatever else runs on this machine blurs the first and hardly the
second: by the clock, 5 % count as a difference if they are more than chance makes of so wide a spread. If 200 pairs
leave anything open, up to 600 are made, and all of them count: what is noise gets smaller, what is a difference gets
clearer. IDENTITY_TEST_PAIRS says how many there are at a time, else `tests.effort`.
"""

from __future__ import annotations

import gc
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from math import hypot, sqrt
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import NamedTuple

import pytest
import pytest_asyncio
from tests.effort import effort
from tests.mailbox import Mailbox
from tests.running import WRONG_PASSWORD, Running, new_email, outcome, running

from identity_pb.v1 import auth_service_pb2 as pb

PAIRS = effort(200, 2000, "IDENTITY_TEST_PAIRS")
NAMES = 25
Call = Callable[[str], Awaitable[object]]


class Taken(NamedTuple):
    """The seconds that a call takes."""

    wall: float
    processor: float


@pytest_asyncio.fixture(scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> AsyncIterator[Running]:
    """A service whose hashes cost enough to be what is measured, on the embedded database."""
    async with running(tmp_path_factory.mktemp("timing"), mailbox, bcrypt_cost=6, hashing_threads=1) as service:
        yield service


async def differences(service: Running, call: Call, known: list[str], unknown: list[str]) -> list[str]:
    """What tells the two apart, in words; nothing if nothing does."""
    rng = random.Random(7)
    taken: dict[bool, list[Taken]] = {True: [], False: []}
    names = {True: cycle(known), False: cycle(unknown)}
    found: list[str] = []
    for _ in range(3):
        with quiet():
            for _ in range(PAIRS):
                for is_known in rng.sample([True, False], 2):
                    taken[is_known].append(await measure(service, call, next(names[is_known])))
        found = apart(taken[True], taken[False])
        if not found:
            break
    return found


async def measure(service: Running, call: Call, name: str) -> Taken:
    # No budget of an earlier call is left, whoever it was for.
    service.clock.advance(hours=1)
    begun = Taken(perf_counter(), process_time())
    await outcome(call(name))
    return Taken(perf_counter() - begun.wall, process_time() - begun.processor)


def apart(one: list[Taken], two: list[Taken]) -> list[str]:
    """What tells two samples apart."""
    wall = [taken.wall for taken in one], [taken.wall for taken in two]
    z, by_the_clock = mann_whitney(*wall), gap(*wall)
    processor = gap([taken.processor for taken in one], [taken.processor for taken in two])
    return [
        *[f"z = {z:.2f}"] * (abs(z) >= 3),
        *[f"medians are {by_the_clock:.1%} apart"] * (abs(by_the_clock) >= max(0.05, chance(*wall))),
        *[f"medians of processor time are {processor:.1%} apart"] * (abs(processor) >= 0.05),
    ]


def gap(one: list[float], two: list[float]) -> float:
    return median(one) / median(two) - 1


def chance(one: list[float], two: list[float]) -> float:
    """How far the medians of such samples come apart by chance: three standard deviations of what is between them."""
    return 3 * hypot(*(1.25 * spread(sample) / sqrt(len(sample)) / median(sample) for sample in (one, two)))


def spread(sample: list[float]) -> float:
    """The standard deviation of most of a sample: of a normal one, with whatever happens rarely left out."""
    first, _, third = quantiles(sample, n=4)
    return (third - first) / 1.35


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


@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_the_statistics_see_a_difference(noise: float) -> None:
    """Two equal samples are alike, and six per cent more are seen, by the clock and by the time of the processor."""
    rng = random.Random(1)
    one, two = ([Taken(*(rng.gauss(1, noise) for _ in range(2))) for _ in range(200)] for _ in range(2))
    assert apart(one, two) == []
    assert len(apart([Taken(wall * 1.06, processor) for wall, processor in one], two)) == 2
    assert len(apart([Taken(wall, processor * 1.06) for wall, processor in one], two)) == 1


def test_a_busy_machine_hides_nothing_of_the_processor() -> None:
    """Where calls wait for longer than they work, by chance alone, the clock sees nothing and the processor does."""
    rng = random.Random(1)
    one, two = ([Taken(rng.expovariate(1), rng.gauss(1, 0.1)) for _ in range(200)] for _ in range(2))
    assert apart(one, two) == []
    assert len(apart([Taken(wall, processor * 1.06) for wall, processor in one], two)) == 1


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
