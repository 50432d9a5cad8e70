"""Mails and short messages leave the one outbox by ways of their own (F-12)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest
from tests.logs import captured_log, lines
from tests.mail.reading import CODE
from tests.mail.rig import ADA, Recorder, Rig, failing

from identity.domain.mails import Channel, MailKind, OutboxMail
from identity.mail.dispatcher import Outcome
from identity.mail.transports import MessageRefused, ServerUnreachable, TemporaryFailure

PHONE, OTHER_PHONE = "+33612345678", "+32470123456"
VALUES = {"code": CODE, "name": "Ada", "expires_minutes": "10"}


@dataclass
class Texts:
    """A transport that keeps what it is given, unless `before` raises."""

    sent: list[tuple[UUID, str, str]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def send(self, id: UUID, to: str, text: str) -> None:
        self.before()
        self.sent.append((id, to, text))

    def check(self) -> None: ...

    @property
    def recipients(self) -> list[str]:
        return [to for _, to, _ in self.sent]


def texts_failing(failure: Exception) -> Texts:
    def fail() -> None:
        raise failure

    return Texts(before=fail)


def code(rig: Rig, recipient: str, kind: MailKind = MailKind.SIGN_IN_CODE) -> OutboxMail:
    mail = rig.mail(recipient, kind, lives=timedelta(minutes=10), values=VALUES)
    rig.add(mail)
    return mail


def test_a_code_for_a_number_is_a_short_message(rig: Rig) -> None:
    mail = code(rig, PHONE)
    texts = Texts()
    assert rig.sms_worker(texts).run_once() == 1
    text = f"{CODE} is your security code for Acme, valid for 10 minutes. Never pass it on."
    assert texts.sent == [(mail.id, PHONE, text)]
    assert (rig.row(mail.id).status, rig.row(mail.id).sealed) == ("sent", b"")
    assert rig.outcomes == [(MailKind.SIGN_IN_CODE, Outcome.SENT)]


def test_each_channel_takes_its_own_and_touches_nothing_else(rig: Rig) -> None:
    mails = [code(rig, recipient) for recipient in (ADA, PHONE, "+tag@example.org", OTHER_PHONE)]
    texts, transport = Texts(), Recorder()
    assert rig.sms_worker(texts).run_once() == 2
    assert texts.recipients == [PHONE, OTHER_PHONE]
    assert [rig.row(mail.id).attempts for mail in mails] == [0, 1, 0, 1]
    assert rig.worker(transport).run_once() == 2
    assert transport.recipients == [ADA, "+tag@example.org"]
    assert [rig.row(mail.id).attempts for mail in mails] == [1, 1, 1, 1]


@pytest.mark.parametrize("recipient", [PHONE, ADA, "+tag@example.org", "+1,+2", "+", "@+1", "%", "+%", "1", ""])
@pytest.mark.parametrize("kind", [MailKind.SIGN_IN_CODE, MailKind.REQUEST_PASSWORD_RESET])
def test_the_row_and_the_value_agree_on_the_channel(rig: Rig, recipient: str, kind: MailKind) -> None:
    mail = rig.mail(recipient, kind)
    rig.add(mail)
    assert [channel for channel in Channel if leased(rig, channel) == [mail.id]] == [mail.channel]


def leased(rig: Rig, channel: Channel) -> list[UUID]:
    now = rig.clock()
    rows = rig.database.write(lambda tx: tx.outbox.lease(now, now, 10, channel))
    return [row.id for row in rows]


def test_RC_03_a_request_by_number_is_answered_by_the_dispatcher_of_mails(rig: Rig) -> None:
    rig.add(rig.mail(PHONE, MailKind.REQUEST_PASSWORD_RESET))
    texts, asked = Texts(), list[str]()

    def resolve(request: OutboxMail) -> None:
        asked.append(request.recipient)

    assert rig.sms_worker(texts).run_once() == 0
    assert rig.worker(Recorder(), resolve).run_once() == 1
    assert (asked, texts.sent, rig.statuses()) == ([PHONE], [], ["dropped"])


def test_LG_03_a_request_that_waits_holds_no_code_to_the_same_number_up(rig: Rig) -> None:
    rig.add(rig.mail(PHONE, MailKind.REQUEST_PASSWORD_RESET))
    code(rig, PHONE)
    texts = Texts()
    assert rig.sms_worker(texts).run_once() == 1
    assert texts.recipients == [PHONE]


def test_F_12_an_outage_of_one_channel_is_none_of_the_other(rig: Rig) -> None:
    for recipient in [f"person{n}@example.org" for n in range(25)] + [PHONE]:
        code(rig, recipient)
    mails_away = rig.worker(failing(ServerUnreachable("down")))
    mails_away.run_once()
    texts = Texts()
    assert rig.sms_worker(texts).run_once() == 1
    assert texts.recipients == [PHONE]

    late = code(rig, PHONE)
    texts_away = rig.sms_worker(texts_failing(ServerUnreachable("down")))
    texts_away.run_once()
    assert rig.row(late.id).attempts == 0
    assert rig.worker(Recorder()).run_once() == 25


def test_F_12_an_outage_of_the_gateway_costs_one_try_per_pause(rig: Rig) -> None:
    tries = []

    def away() -> None:
        tries.append(rig.clock())
        raise ServerUnreachable("down")

    code(rig, PHONE)
    code(rig, OTHER_PHONE)
    worker = rig.sms_worker(Texts(before=away))
    for _ in range(16):
        worker.run_once()
        rig.clock.advance(seconds=1)
    assert [(later - tries[0]).total_seconds() for later in tries] == [0, 5, 15]


def test_F_12_a_message_that_a_gateway_puts_off_is_sent_again_as_it_was(rig: Rig) -> None:
    mail = code(rig, PHONE)
    texts = texts_failing(TemporaryFailure("503"))
    worker = rig.sms_worker(texts)
    assert worker.run_once() == 1
    assert rig.row(mail.id).status == "waiting"
    texts.before = lambda: None
    rig.clock.advance(seconds=7)
    assert worker.run_once() == 1
    assert [id for id, _, _ in texts.sent] == [mail.id]


def test_F_12_a_message_that_a_gateway_refuses_is_parked_and_blocks_nobody(rig: Rig) -> None:
    bad = code(rig, PHONE)
    texts = texts_failing(MessageRefused("400"))
    worker = rig.sms_worker(texts)
    worker.run_once()
    assert (rig.row(bad.id).status, rig.row(bad.id).sealed) == ("parked", b"")
    texts.before = lambda: None
    code(rig, PHONE)
    assert worker.run_once() == 1


def test_F_12_a_code_is_never_late_by_sms(rig: Rig) -> None:
    mail = code(rig, PHONE)
    rig.clock.now = mail.expires_at
    texts = Texts()
    assert rig.sms_worker(texts).run_once() == 1
    assert (texts.sent, rig.statuses()) == ([], ["dropped"])


@pytest.mark.parametrize("recipient", ["+33612345678,+33612345679", "+", "+0612345678", "+1234567890123456", "+١٢٣٤٥٦"])
def test_N_37_a_recipient_that_is_no_single_number_is_parked_unsent(rig: Rig, recipient: str) -> None:
    bad = code(rig, recipient)
    texts = Texts()
    rig.sms_worker(texts).run_once()
    assert (texts.sent, rig.row(bad.id).status) == ([], "parked")


def test_LO_01_no_log_line_tells_a_number_or_a_code(rig: Rig) -> None:
    with captured_log() as (_, log):
        for failure in (TemporaryFailure("503"), MessageRefused("400"), ServerUnreachable("down"), LookupError(PHONE)):
            code(rig, PHONE)
            rig.sms_worker(texts_failing(failure)).run_once()
            rig.clock.advance(minutes=10)
            rig.sms_worker(Texts()).run_once()
    assert {line["outcome"] for line in lines(log, event="mail", channel="sms")} == {"retried", "parked", "expired"}
    assert [word for word in (PHONE, CODE) if word in log.getvalue()] == []
