"""The dispatcher's rules, with a transport that fails as told."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from tests.mail.rig import ADA, BOB, EVE, Outbox, Recorder, Rig, failing

from identity.domain.mails import MailKind, OutboxMail
from identity.mail.dispatcher import Outcome
from identity.mail.transports import RecipientRefused, ServerUnreachable, TemporaryFailure


def test_a_mail_is_sent_once(rig: Rig) -> None:
    (id,) = rig.queue(ADA)
    transport = Recorder()
    worker = rig.worker(transport)
    assert (rig.backlog(), worker.run_once(), worker.run_once(), rig.backlog()) == (1, 1, 0, 0)
    ((recipient, message),) = transport.sent
    assert recipient == ADA
    assert message["Message-ID"] == f"<{id}@id.example>"
    assert message["Date"] == "Thu, 12 Mar 2026 14:03:00 +0000"
    assert rig.statuses() == ["sent"]
    assert rig.outcomes == [(MailKind.VERIFY_EMAIL, Outcome.SENT)]
    assert transport.closed == 2


def test_more_than_a_batch_is_handled_in_one_pass_oldest_first(rig: Rig) -> None:
    people = [f"person{n}@example.org" for n in range(45)]
    rig.queue(*people)
    transport = Recorder()
    assert rig.worker(transport).run_once() == 45
    assert transport.recipients == people


# Failures.


def test_F_12_temporary_failures_are_retried_with_backoff_and_the_same_message(rig: Rig) -> None:
    (id,) = rig.queue(ADA)
    seen: list[bytes] = []
    transport = failing(TemporaryFailure("451"))
    worker = rig.worker(transport)
    waits = []
    for _ in range(10):
        assert worker.run_once() == 1
        due = rig.row(id).due_at
        waits.append((due - rig.clock()).total_seconds())
        rig.clock.now = due - timedelta(milliseconds=1)
        assert worker.run_once() == 0
        rig.clock.now = due
    spread = waits[0] / 5
    assert 1 <= spread <= 1.2
    assert waits == pytest.approx([spread * wait for wait in (5, 10, 20, 40, 80, 160, 320, 640, 900, 900)])
    assert rig.row(id).error == "TemporaryFailure"

    transport.before = lambda recipient: None
    transport.after = failing(TemporaryFailure("lost")).before
    worker.run_once()
    rig.clock.advance(hours=1)
    worker.run_once()
    seen = [message.as_bytes() for _, message in transport.sent]
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert f"Message-ID: <{id}@id.example>".encode() in seen[0]


def test_F_12_one_refused_recipient_is_parked_and_blocks_nobody(rig: Rig) -> None:
    _, bad, _ = rig.queue(ADA, EVE, BOB)
    transport = failing(RecipientRefused(f"550 no {EVE}"), EVE)
    assert rig.worker(transport).run_once() == 3
    assert transport.recipients == [ADA, BOB]
    assert rig.statuses() == ["sent", "parked", "sent"]
    assert rig.row(bad).error == "RecipientRefused"
    assert rig.row(bad).sealed == b""


def test_N_37_a_recipient_that_is_two_is_parked_unsent(rig: Rig) -> None:
    rig.queue(f"{EVE},{ADA}", BOB)
    transport = Recorder()
    rig.worker(transport).run_once()
    assert transport.recipients == [BOB]
    assert rig.statuses() == ["parked", "sent"]


def test_F_12_what_nobody_foresaw_is_retried_and_blocks_nobody(rig: Rig) -> None:
    poison = rig.mail(EVE, values={"name": "no token, no minutes"})
    rig.add(poison)
    rig.queue(BOB)
    transport = Recorder()
    rig.worker(transport).run_once()
    assert transport.recipients == [BOB]
    assert rig.row(poison.id).error == "UndefinedError"
    assert rig.outcomes == [(MailKind.VERIFY_EMAIL, Outcome.RETRIED), (MailKind.VERIFY_EMAIL, Outcome.SENT)]


def test_F_12_a_mail_that_keeps_failing_is_parked_when_its_time_is_over(rig: Rig) -> None:
    (id,) = rig.queue(ADA, lives=timedelta(minutes=10))
    worker = rig.worker(failing(TemporaryFailure("451")))
    while rig.row(id).status == "waiting":
        rig.clock.now = rig.row(id).due_at
        assert worker.run_once() == 1
    assert rig.row(id).status == "parked"
    assert rig.clock() < rig.row(id).expires_at
    assert rig.row(id).expires_at - rig.clock() <= timedelta(seconds=5)
    assert rig.outcomes[-1] == (MailKind.VERIFY_EMAIL, Outcome.PARKED)


def test_F_12_mails_to_one_person_keep_their_order(rig: Rig) -> None:
    rig.queue(ADA, ADA, BOB, ADA)
    transport = failing(TemporaryFailure("451"), ADA)
    worker = rig.worker(transport)
    worker.run_once()
    assert transport.recipients == [BOB]
    assert rig.statuses() == ["waiting", "waiting", "sent", "waiting"]
    transport.before = lambda recipient: None
    rig.clock.advance(seconds=6)
    assert worker.run_once() == 3
    assert [message["Message-ID"] for _, message in transport.sent[1:]] == sorted(
        message["Message-ID"] for _, message in transport.sent[1:]
    )


@pytest.mark.parametrize(("late_by", "status"), [(-1, "sent"), (0, "dropped"), (1, "dropped")])
def test_F_12_a_mail_is_never_late(rig: Rig, late_by: float, status: str) -> None:
    (id,) = rig.queue(ADA, lives=timedelta(minutes=10))
    rig.clock.now = rig.row(id).expires_at + timedelta(seconds=late_by)
    transport = Recorder()
    assert rig.worker(transport).run_once() == 1
    assert rig.statuses() == [status]
    assert len(transport.sent) == (status == "sent")


def test_F_12_a_mail_that_expires_while_its_batch_is_worked_on_is_not_sent(rig: Rig) -> None:
    rig.queue(ADA, BOB, lives=timedelta(minutes=1))
    transport = Recorder(after=lambda recipient: rig.clock.advance(minutes=1))
    rig.worker(transport).run_once()
    assert transport.recipients == [ADA]
    assert rig.statuses() == ["sent", "dropped"]


# Requests.


def test_RC_03_a_request_becomes_the_mail_it_asks_for(rig: Rig) -> None:
    request = rig.mail("Ada@example.org", MailKind.REQUEST_PASSWORD_RESET)
    rig.add(request)
    resolved: list[UUID] = []

    def resolve(asked: OutboxMail) -> OutboxMail | None:
        mail = rig.mail(ADA, MailKind.PASSWORD_RESET)
        resolved.append(mail.id)

        def put(tx: Outbox) -> None:
            assert tx.outbox.replace(asked.id, mail)

        rig.database.write(put)
        return mail

    transport = Recorder()
    assert rig.worker(transport, resolve).run_once() == 1
    ((recipient, message),) = transport.sent
    assert recipient == ADA
    assert message["Message-ID"] == f"<{resolved[0]}@id.example>"
    assert rig.row(resolved[0]).status == "sent"
    assert rig.outcomes == [(MailKind.PASSWORD_RESET, Outcome.SENT)]


def test_RC_03_a_request_about_nobody_is_dropped_silently(rig: Rig) -> None:
    rig.add(rig.mail(EVE, MailKind.REQUEST_VERIFICATION))
    transport = Recorder()
    assert rig.worker(transport).run_once() == 1
    assert transport.sent == []
    assert rig.statuses() == ["dropped"]
    assert rig.outcomes == [(MailKind.REQUEST_VERIFICATION, Outcome.UNWANTED)]


def test_a_request_resolved_during_an_outage_keeps_its_mail(rig: Rig) -> None:
    rig.add(rig.mail(ADA, MailKind.REQUEST_PASSWORD_RESET))
    calls: list[UUID] = []

    def resolve(asked: OutboxMail) -> OutboxMail | None:
        calls.append(asked.id)
        mail = rig.mail(ADA, MailKind.PASSWORD_RESET)
        rig.database.write(lambda tx: tx.outbox.replace(asked.id, mail))
        return mail

    transport = failing(ServerUnreachable("down"))
    worker = rig.worker(transport, resolve)
    worker.run_once()
    transport.before = lambda recipient: None
    rig.clock.advance(seconds=5)
    worker.run_once()
    assert (transport.recipients, len(calls)) == ([ADA], 1)


def test_a_request_that_cannot_be_resolved_now_is_retried(rig: Rig) -> None:
    def fail(asked: OutboxMail) -> OutboxMail | None:
        raise KeyError(asked.recipient)

    rig.add(rig.mail(EVE, MailKind.REQUEST_VERIFICATION))
    rig.queue(BOB)
    transport = Recorder()
    rig.worker(transport, fail).run_once()
    assert transport.recipients == [BOB]
    assert rig.statuses() == ["waiting", "sent"]
