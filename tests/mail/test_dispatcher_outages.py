"""Servers that go away, workers that die, and the thread that outlives both."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from tests.logs import captured_log, lines
from tests.mail.rig import ADA, BOB, EVE, Crash, Recorder, Rig, failing

from identity.domain.errors import ServiceUnavailable
from identity.mail.transports import RecipientRefused, ServerUnreachable, TemporaryFailure

# A server that is away.


def test_F_12_an_outage_costs_one_try_per_pause_and_no_mail_an_attempt(rig: Rig) -> None:
    ids = rig.queue(ADA, BOB, EVE)
    tries: list[datetime] = []

    def away(recipient: str) -> None:
        tries.append(rig.clock())
        raise ServerUnreachable("down")

    transport = Recorder(before=away)
    worker = rig.worker(transport)
    for _ in range(3600):
        worker.run_once()
        rig.clock.advance(seconds=1)
    pauses = [(later - earlier).total_seconds() for earlier, later in pairwise(tries)]
    assert pauses[:6] == [5, 10, 20, 40, 60, 60]
    assert set(pauses[6:]) == {60}
    assert [rig.row(id).attempts for id in ids] == [0, 0, 0]

    transport.before = lambda recipient: None
    rig.clock.advance(minutes=1)
    worker.run_once()
    assert transport.recipients == [ADA, BOB, EVE]


def test_F_12_pauses_begin_small_again_once_the_server_has_answered(rig: Rig) -> None:
    rig.queue(ADA, BOB)
    transport = failing(ServerUnreachable("down"))
    worker = rig.worker(transport)
    for _ in range(60):
        worker.run_once()
        rig.clock.advance(seconds=1)
    transport.before = failing(TemporaryFailure("451")).before
    rig.clock.advance(minutes=1)
    assert worker.run_once() == 2
    transport.before = failing(ServerUnreachable("down again")).before
    rig.clock.advance(seconds=6)
    worker.run_once()
    transport.before = lambda recipient: None
    rig.clock.advance(seconds=5)
    worker.run_once()
    assert sorted(transport.recipients) == [ADA, BOB]


def test_F_12_an_outage_does_not_outlive_the_mail(rig: Rig) -> None:
    rig.queue(ADA, lives=timedelta(minutes=10))
    transport = failing(ServerUnreachable("down"))
    worker = rig.worker(transport)
    worker.run_once()
    rig.clock.advance(hours=1)
    transport.before = lambda recipient: None
    worker.run_once()
    assert transport.sent == []
    assert rig.statuses() == ["dropped"]


# Workers that die, or come late.


def test_F_12_what_a_dead_worker_held_is_taken_by_another(rig: Rig) -> None:
    rig.queue(ADA, BOB)
    with pytest.raises(Crash):
        rig.worker(failing(Crash())).run_once()
    other = Recorder()
    worker = rig.worker(other)
    worker.run_once()
    assert ADA not in other.recipients
    rig.clock.advance(minutes=3)
    worker.run_once()
    assert sorted(other.recipients) == [ADA, BOB]


def test_F_12_a_worker_that_dies_after_the_handover_leaves_a_copy_with_the_same_message_id(rig: Rig) -> None:
    rig.queue(ADA)
    first, second = Recorder(after=failing(Crash()).before), Recorder()
    with pytest.raises(Crash):
        rig.worker(first).run_once()
    rig.clock.advance(minutes=3)
    rig.worker(second).run_once()
    assert first.sent[0][1].as_bytes() == second.sent[0][1].as_bytes()


def test_F_12_a_mail_is_not_sent_again_because_the_database_went_away(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.queue(ADA, BOB)
    transport = Recorder()
    worker = rig.worker(transport)

    def away(fn: object) -> None:
        raise ServiceUnavailable

    transport.after = lambda recipient: monkeypatch.setattr(rig.database, "write", away)
    for _ in range(3):
        with pytest.raises(ServiceUnavailable):
            worker.run_once()
    monkeypatch.undo()
    transport.after = lambda recipient: None
    rig.clock.advance(minutes=3)
    worker.run_once()
    assert transport.recipients == [ADA, BOB]
    assert rig.statuses() == ["sent", "sent"]


def test_F_12_a_slow_server_makes_no_lease_run_out_under_way(rig: Rig) -> None:
    people = [f"person{n}@example.org" for n in range(10)]
    rig.queue(*people)
    slow, other = Recorder(), Recorder()

    def dawdle(recipient: str) -> None:
        rig.clock.advance(seconds=70)
        rig.worker(other).run_once()

    slow.after = dawdle
    rig.worker(slow).run_once()
    assert sorted(slow.recipients + other.recipients) == people


def test_F_18_stopping_finishes_the_mail_in_hand_and_gives_the_rest_back(rig: Rig) -> None:
    rig.queue(ADA, BOB, EVE)
    transport, other = Recorder(), Recorder()
    worker = rig.worker(transport)

    def stop(recipient: str) -> None:
        worker.stop()

    transport.after = stop
    assert worker.run_once() == 1
    assert rig.worker(other).run_once() == 2
    assert (transport.recipients, other.recipients) == ([ADA], [BOB, EVE])


# The thread, and what it says.


def test_a_started_dispatcher_sends_what_it_is_woken_for(rig: Rig) -> None:
    arrived = threading.Event()
    transport = Recorder(after=lambda recipient: arrived.set())
    worker = rig.worker(transport)
    worker.start()
    for recipient in (ADA, BOB):
        arrived.clear()
        rig.queue(recipient)
        worker.wake()
        assert arrived.wait(5)
    assert worker.stop(5)
    assert transport.recipients == [ADA, BOB]


def test_the_thread_survives_a_database_that_is_away(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    failed, arrived = threading.Event(), threading.Event()

    def away(fn: object) -> None:
        failed.set()
        raise ServiceUnavailable

    rig.queue(ADA)
    worker = rig.worker(Recorder(after=lambda recipient: arrived.set()))
    with monkeypatch.context() as outage:
        outage.setattr(rig.database, "write", away)
        worker.start()
        assert failed.wait(5)
    worker.wake()
    assert arrived.wait(5)
    assert worker.stop(5)


def test_stopping_what_never_started_is_harmless(rig: Rig) -> None:
    assert rig.worker(Recorder()).stop()


@pytest.mark.parametrize(
    "failure",
    [TemporaryFailure("451"), RecipientRefused("550"), ServerUnreachable("down"), RuntimeError(f"{ADA} token-of-")],
)
def test_LO_01_no_log_and_no_row_names_an_address_or_a_secret(rig: Rig, failure: Exception) -> None:
    (id,) = rig.queue(ADA)
    with captured_log() as (_, log):
        rig.worker(failing(failure)).run_once()
    assert lines(log)
    for text in (log.getvalue(), str(rig.row(id).error)):
        assert "ada@" not in text
        assert "token-of-" not in text
