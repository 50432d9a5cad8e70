"""From the outbox to a real mail server, and through whatever can happen on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from aiosmtpd.smtp import Envelope
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mail.rig import ADA, BOB, EVE, Crash, Outbox, Recorder, Rig
from tests.mail.sink import Mode, Sink, closed_port, running

from identity.domain.errors import ServiceUnavailable
from identity.mail.transports import RecipientRefused, ServerUnreachable, TemporaryFailure, open_transport
from identity.store.database import open_database
from identity.store.tables import metadata, outbox


def message_ids(sink: Sink) -> list[str]:
    return [message_from_bytes(content(envelope))["Message-ID"] for envelope in sink.taken]


def content(envelope: Envelope) -> bytes:
    assert isinstance(envelope.content, bytes)
    return envelope.content


def test_F_12_mails_arrive_over_one_connection(rig: Rig, sink: Sink) -> None:
    ids = rig.queue(ADA, BOB, EVE)
    assert rig.worker(open_transport(sink.url, timeout=5)).run_once() == 3
    assert [envelope.rcpt_tos for envelope in sink.taken] == [[ADA], [BOB], [EVE]]
    assert message_ids(sink) == [f"<{id}@id.example>" for id in ids]
    assert sink.connections == 1


def test_F_12_a_server_that_comes_back_gets_everything_once(rig: Rig) -> None:
    rig.queue(ADA, BOB, EVE)
    rig.worker(open_transport(f"smtp://127.0.0.1:{closed_port()}", timeout=5)).run_once()
    assert rig.statuses() == ["waiting"] * 3
    with running(Sink()) as sink:
        rig.worker(open_transport(sink.url, timeout=5)).run_once()
    assert len(set(message_ids(sink))) == len(sink.taken) == 3


@pytest.mark.parametrize("mode", [Mode.BUSY, Mode.TARPIT, Mode.CLOSE_AT_RECIPIENT])
def test_F_12_a_server_that_takes_nothing_now_gets_it_once_later(rig: Rig, sink: Sink, mode: Mode) -> None:
    rig.queue(ADA, BOB)
    sink.mode = mode
    worker = rig.worker(open_transport(sink.url, timeout=0.2))
    assert worker.run_once() == 2
    sink.mode = Mode.ACCEPT
    rig.clock.advance(seconds=6)
    assert worker.run_once() == 2
    assert len(set(message_ids(sink))) == len(sink.taken) == 2


def test_F_12_a_lost_250_gives_a_copy_that_is_the_same_to_the_byte(rig: Rig, sink: Sink) -> None:
    rig.queue(ADA)
    sink.mode = Mode.CLOSE_AFTER_DATA
    worker = rig.worker(open_transport(sink.url, timeout=5))
    worker.run_once()
    sink.mode = Mode.ACCEPT
    rig.clock.advance(seconds=6)
    worker.run_once()
    first, second = sink.taken
    assert content(first) == content(second)
    assert rig.statuses() == ["sent"]


def test_F_12_one_bad_recipient_blocks_nobody(rig: Rig, sink: Sink) -> None:
    sink.recipients = {EVE: f"550 {EVE} is not here"}
    _, bad, _ = rig.queue(ADA, EVE, BOB)
    rig.worker(open_transport(sink.url, timeout=5)).run_once()
    assert rig.statuses() == ["sent", "parked", "sent"]
    assert rig.row(bad).error == "RecipientRefused"


# P-14: whatever happens.

BEHAVIOURS = [
    "take",
    "busy",
    "refuse",
    "lose the 250",
    "be away",
    "crash before",
    "crash after",
    "lose the database after",
]
EXCUSES = {"lose the 250", "crash after"}


class Fate:
    """A mail server and a process to which the listed things happen in turn; later, all is well."""

    def __init__(self, rig: Rig, behaviours: list[str]) -> None:
        self.rig = rig
        self.behaviours = behaviours
        self.happened: list[tuple[UUID, str]] = []
        self.transport = Recorder(before=self.before, after=self.after)
        self.now = "take"
        self.database_is_away = False

    def before(self, recipient: str) -> None:
        self.now = self.behaviours.pop(0) if self.behaviours else "take"
        match self.now:
            case "busy":
                raise TemporaryFailure("451")
            case "refuse":
                raise RecipientRefused("550")
            case "be away":
                raise ServerUnreachable("down")
            case "crash before":
                raise Crash

    def after(self, recipient: str) -> None:
        id = UUID(self.transport.sent[-1][1]["Message-ID"].strip("<>").partition("@")[0])
        self.happened.append((id, self.now))
        self.sent_at = self.rig.clock()
        assert self.sent_at < self.rig.row(id).expires_at, "late"
        match self.now:
            case "lose the 250":
                raise TemporaryFailure("broken")
            case "crash after":
                raise Crash
            case "lose the database after":
                self.database_is_away = True


@contextmanager
def fresh_rig() -> Iterator[Rig]:
    with TemporaryDirectory() as directory:
        database = open_database(f"sqlite:///{Path(directory)}/outbox.db", Outbox)
        database.write(lambda tx: metadata.create_all(tx.connection, tables=[outbox]))
        yield Rig(database)
        database.close()


@settings(max_examples=30, deadline=None)
@given(
    recipients=st.lists(st.sampled_from([ADA, BOB, EVE]), min_size=1, max_size=6),
    lives=st.sampled_from([timedelta(minutes=2), timedelta(hours=24)]),
    behaviours=st.lists(st.sampled_from(BEHAVIOURS), max_size=12),
    steps=st.lists(st.integers(20, 400), min_size=1, max_size=5),
)
def test_P_14_whatever_happens_every_committed_mail_is_delivered(
    recipients: list[str], lives: timedelta, behaviours: list[str], steps: list[int]
) -> None:
    with fresh_rig() as rig:
        ids = rig.queue(*recipients, lives=lives)
        never = rolled_back(rig)
        fate = Fate(rig, list(behaviours))
        live_through(rig, fate, steps)

        status = {id: str(rig.row(id).status) for id in ids}
        copies = Counter(id for id, _ in fate.happened)
        excuses = Counter(id for id, what in fate.happened if what in EXCUSES)
        assert never not in copies
        assert set(status.values()) <= {"sent", "parked", "dropped"}
        for id in ids:
            assert copies[id] >= (status[id] == "sent"), "lost"
            assert copies[id] <= 1 + excuses[id], "a copy without a reason"
            assert status[id] != "dropped" or lives < timedelta(hours=24), "dropped while it was worth sending"
            bodies = {m.as_bytes() for _, m in fate.transport.sent if str(id) in m["Message-ID"]}
            assert len(bodies) <= 1, "a retry that differs"
        for recipient in set(recipients):
            order = [ids.index(id) for id, _ in fate.happened if recipients[ids.index(id)] == recipient]
            assert order == sorted(order), "out of order"


def rolled_back(rig: Rig) -> UUID:
    mail = rig.mail(ADA)

    def queue_and_fail(tx: Outbox) -> None:
        tx.outbox.add(mail)
        raise LookupError

    with pytest.raises(LookupError):
        rig.database.write(queue_and_fail)
    return mail.id


def live_through(rig: Rig, fate: Fate, steps: list[int]) -> None:
    """Run workers, one after the other dying, until nothing waits."""
    worker = rig.worker(fate.transport)
    write = rig.database.write

    def sometimes_away(fn: object) -> object:
        if fate.database_is_away:
            raise ServiceUnavailable
        return write(fn)  # type: ignore[arg-type]

    rig.database.write = sometimes_away  # type: ignore[method-assign, assignment]
    for turn in range(500):
        try:
            worker.run_once()
        except Crash:
            worker = rig.worker(fate.transport)
        except ServiceUnavailable:
            fate.database_is_away = False
        if rig.backlog() == 0:
            return
        rig.clock.advance(seconds=steps[turn % len(steps)])
    raise AssertionError("mails still wait")
