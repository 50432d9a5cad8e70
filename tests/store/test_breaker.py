"""The circuit breaker, on a clock of its own."""

from __future__ import annotations

import pytest

from identity.domain.errors import ServiceUnavailable
from identity.store.breaker import PAUSE, THRESHOLD, Breaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def test_it_stays_closed_while_anything_succeeds(breaker: Breaker) -> None:
    for _ in range(THRESHOLD * 2):
        for _ in range(THRESHOLD - 1):
            breaker.failed()
        breaker.succeeded()
    assert breaker.admit() is False
    assert not breaker.is_open


def test_failures_in_a_row_open_it_and_one_caller_per_pause_looks(breaker: Breaker, clock: Clock) -> None:
    for _ in range(THRESHOLD):
        assert breaker.admit() is False
        breaker.failed()
    for _ in range(3):
        with pytest.raises(ServiceUnavailable) as caught:
            breaker.admit()
        assert caught.value.retry_after == PAUSE
        clock.now += PAUSE
        assert breaker.admit() is True
    with pytest.raises(ServiceUnavailable):
        breaker.admit()


def test_a_look_that_fails_slowly_holds_up_no_other(breaker: Breaker, clock: Clock) -> None:
    for _ in range(THRESHOLD):
        breaker.failed()
    clock.now += PAUSE
    assert breaker.admit() is True
    clock.now += PAUSE
    breaker.failed()  # the look of half a second ago
    assert breaker.admit() is True


def test_a_success_closes_it_for_all(breaker: Breaker) -> None:
    for _ in range(THRESHOLD):
        breaker.failed()
    breaker.succeeded()
    assert breaker.admit() is False


def test_one_silence_is_an_outage(breaker: Breaker, clock: Clock) -> None:
    """Also where it is the last of several failures: the pause begins with the first that opened it."""
    breaker.failed(silent=True)
    clock.now += PAUSE / 2
    breaker.failed(silent=True)
    with pytest.raises(ServiceUnavailable):
        breaker.admit()
    clock.now += PAUSE / 2
    assert breaker.admit() is True
