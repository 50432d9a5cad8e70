from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from identity.mail.backoff import wait_after

DAY = timedelta(days=1)


def test_the_wait_doubles_from_five_seconds_to_fifteen_minutes() -> None:
    waits = [wait_after(attempts, UUID(int=0), DAY).total_seconds() for attempts in range(1, 12)]
    assert waits == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900]
    assert wait_after(10_000, UUID(int=0), DAY) == timedelta(minutes=15)


def test_mails_that_failed_together_come_back_apart_but_always_the_same() -> None:
    waits = {wait_after(3, UUID(int=n), DAY) for n in range(100)}
    assert len(waits) == 100
    assert timedelta(seconds=20) <= min(waits) <= max(waits) <= timedelta(seconds=24)
    assert wait_after(3, UUID(int=7), DAY) == wait_after(3, UUID(int=7), DAY)


def test_F_12_a_short_life_is_used_to_its_end() -> None:
    assert wait_after(9, UUID(int=0), timedelta(minutes=10)) == timedelta(minutes=5)
    assert wait_after(9, UUID(int=0), timedelta(seconds=4)) == timedelta(seconds=5)
