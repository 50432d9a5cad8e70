"""What the dispatcher needs of the world, small and in the hand of a test."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Connection, Row, select

from identity.domain.ids import new_id
from identity.domain.mails import MailKind, OutboxMail
from identity.mail.carriers import Carrier, MailCarrier, SmsCarrier
from identity.mail.dispatcher import Dispatcher, Outcome
from identity.mail.letterhead import Letterhead
from identity.mail.sms import SmsTransport
from identity.mail.transports import Transport
from identity.store.tables import outbox
from identity.store.transaction import Transaction

if TYPE_CHECKING:
    from identity.store.database import Database

ADA, BOB, EVE = "ada@example.org", "bob@example.org", "eve@example.org"

START = datetime(2026, 3, 12, 14, 3, tzinfo=UTC)
LETTERHEAD = Letterhead("no-reply@id.example", "https://id.example", "Acme")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class OpenVault:
    """Seals by writing the context in front, in the open."""

    def seal(self, plaintext: bytes, context: str) -> bytes:
        return context.encode() + b"\0" + plaintext

    def open(self, sealed: bytes, context: str) -> bytes:
        place, _, plaintext = sealed.partition(b"\0")
        if place != context.encode():
            raise RuntimeError(f"sealed elsewhere: {plaintext!r}")
        return plaintext


class Outbox(Transaction):
    """A unit of work that tests can look into."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.connection = connection


@dataclass
class Recorder:
    """A transport that keeps what it is given, unless `before` or `after` raises."""

    sent: list[tuple[str, EmailMessage]] = field(default_factory=list)
    before: Callable[[str], None] = lambda recipient: None
    after: Callable[[str], None] = lambda recipient: None
    closed: int = 0

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        self.before(recipient)
        self.sent.append((recipient, message))
        self.after(recipient)

    def check(self) -> None: ...

    def close(self) -> None:
        self.closed += 1

    @property
    def recipients(self) -> list[str]:
        return [recipient for recipient, _ in self.sent]


class Crash(BaseException):
    """The process dies here."""


def failing(failure: BaseException, *recipients: str) -> Recorder:
    """A transport that fails for these recipients, or for all of them."""

    def fail(recipient: str) -> None:
        if not recipients or recipient in recipients:
            raise failure

    return Recorder(before=fail)


def knows_nobody(request: OutboxMail) -> OutboxMail | None:
    return None


class Rig:
    """An outbox, a clock, and workers for it."""

    def __init__(self, database: Database[Outbox]) -> None:
        self.database = database
        self.clock = Clock()
        self.vault = OpenVault()
        self.outcomes: list[tuple[MailKind, Outcome]] = []

    def worker(
        self, transport: Transport, resolve: Callable[[OutboxMail], OutboxMail | None] = knows_nobody
    ) -> Dispatcher:
        return self._worker(MailCarrier(transport, LETTERHEAD), resolve)

    def sms_worker(self, transport: SmsTransport) -> Dispatcher:
        return self._worker(SmsCarrier(transport, "Acme"), knows_nobody)

    def backlog(self) -> int:
        """How many mails wait."""
        return self.database.read(lambda tx: tx.outbox.backlog(self.clock()))

    def _worker(self, carrier: Carrier, resolve: Callable[[OutboxMail], OutboxMail | None]) -> Dispatcher:
        return Dispatcher(
            self.database,
            self.vault,
            resolve,
            carrier,
            self.clock,
            lambda kind, outcome: self.outcomes.append((kind, outcome)),
        )

    def mail(
        self,
        recipient: str = "ada@example.org",
        kind: MailKind = MailKind.VERIFY_EMAIL,
        *,
        lives: timedelta = timedelta(hours=24),
        values: Mapping[str, str] | None = None,
    ) -> OutboxMail:
        """A mail of its own millisecond, so that the order of mails is no matter of chance."""
        self.clock.advance(milliseconds=1)
        id = new_id(self.clock())
        plain = values or {"name": "Ada", "token": f"token-of-{id}", "expires_minutes": "60"}
        sealed = self.vault.seal(json.dumps(plain).encode(), f"outbox:{id}")
        return OutboxMail(id, kind, recipient, "en", sealed, self.clock(), self.clock() + lives)

    def queue(self, *recipients: str, lives: timedelta = timedelta(hours=24)) -> list[UUID]:
        """Queue a mail for each recipient."""
        mails = [self.mail(recipient, lives=lives) for recipient in recipients]
        self.add(*mails)
        return [mail.id for mail in mails]

    def add(self, *mails: OutboxMail) -> None:
        def add(tx: Outbox) -> None:
            for mail in mails:
                tx.outbox.add(mail)

        self.database.write(add)

    def row(self, id: UUID) -> Row[tuple[object, ...]]:
        return self.database.read(lambda tx: tx.connection.execute(select(outbox).where(outbox.c.id == id)).one())

    def statuses(self) -> list[str]:
        return self.database.read(
            lambda tx: list(tx.connection.execute(select(outbox.c.status).order_by(outbox.c.created_at)).scalars())
        )
