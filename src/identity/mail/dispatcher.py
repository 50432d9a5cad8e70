"""The dispatcher: takes mails from the outbox and hands them to their carrier (F-12).

There is one for each channel, so that a gateway for short messages that hangs holds no mail up, nor a relay a code.

A worker leases rows before it touches them, so several can run beside each other, and what a crashed one
held comes back when its lease runs out. A mail is sent at least once; it may be sent twice only if a worker
dies, or the server's answer is lost, after the server took the mail. The copy carries the same Message-ID.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog

from identity.domain.mails import MailKind, OutboxMail
from identity.domain.ports import Database, Vault
from identity.mail.backoff import wait_after
from identity.mail.carriers import Carrier
from identity.mail.rendering import AddressInvalid
from identity.mail.transports import PermanentFailure, ServerUnreachable, TemporaryFailure

_BATCH = 20
_LEASE = timedelta(minutes=3)
# A mail is only begun with this much of the lease left: the longest a conversation with a relay takes.
_LONGEST_SEND = timedelta(seconds=100)
_LONGEST_PAUSE = timedelta(minutes=1)
_POLL_SECONDS = 5.0


class Outcome(StrEnum):
    """What became of a mail; the values are labels of a metric (LO-02)."""

    SENT = "sent"
    RETRIED = "retried"
    PARKED = "parked"
    EXPIRED = "expired"
    UNWANTED = "unwanted"


OnOutcome = Callable[[MailKind, Outcome], None]
"""Hears of every mail that was decided on."""


def unheard(kind: MailKind, outcome: Outcome) -> None:
    """Nobody listens."""


_LEVELS = {Outcome.RETRIED: logging.WARNING, Outcome.PARKED: logging.ERROR}


class Dispatcher:
    """Empties its carrier's channel of the outbox, in a thread of its own once started.

    `resolve` answers a request row: it puts the mail asked for in the row's place and returns it, or
    returns None if there is nothing to send. `on_outcome` hears of every mail that was decided on.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        resolve: Callable[[OutboxMail], OutboxMail | None],
        carrier: Carrier,
        clock: Callable[[], datetime],
        on_outcome: OnOutcome = unheard,
    ) -> None:
        self._database = database
        self._vault = vault
        self._resolve = resolve
        self._carrier = carrier
        self._clock = clock
        self._on_outcome = on_outcome
        self._log = structlog.get_logger("identity.mail", channel=carrier.channel.value)
        self._thread = threading.Thread(target=self._run, name=carrier.channel.value, daemon=True)
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._resume_at: datetime | None = None
        self._pauses = 0
        # Handed over, but the database did not take the news yet: it must, before anything else.
        self._unrecorded: list[OutboxMail] = []

    # The thread.

    def start(self) -> None:
        """Begin, in the background."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the outbox now: a mail was queued. Cheap, and safe from any thread."""
        self._woken.set()

    def retire(self) -> None:
        """Begin nothing more, without waiting for what is in hand."""
        self._stopping.set()
        self._woken.set()

    def stop(self, timeout: float = 10.0) -> bool:
        """Finish the mail in hand and give the other leases back; False if that took too long (F-18)."""
        self.retire()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.run_once()
            except Exception as failure:
                # The thread outlives whatever happens, above all a database that is away.
                self._log.error("the outbox could not be worked on", failure=type(failure).__name__)
            self._woken.wait(_POLL_SECONDS)
            self._woken.clear()

    # One pass.

    def run_once(self) -> int:
        """Handle everything that is due now, and return how many rows that were."""
        handled = 0
        self._record_sent()
        try:
            while not self._stopping.is_set() and not self._is_paused():
                now = self._clock()
                until = now + _LEASE
                batch = self._lease(now, until)
                if not batch:
                    break
                handled += self._work_through(batch, until)
        finally:
            self._carrier.close()
        return handled

    def _work_through(self, batch: list[OutboxMail], until: datetime) -> int:
        """Handle a batch; what is not begun before the lease gets short, or the server goes, is given back."""
        waiting = deque(batch)
        try:
            while waiting and not self._stopping.is_set() and self._clock() <= until - _LONGEST_SEND:
                mail = self._real_mail(waiting.popleft())
                if mail is None:
                    continue
                try:
                    self._deliver(mail)
                    self._pauses = 0
                except ServerUnreachable as failure:
                    waiting.appendleft(mail)
                    self._pause(failure)
                    break
        finally:
            if waiting:
                self._release([mail.id for mail in waiting])
        return len(batch) - len(waiting)

    def _real_mail(self, mail: OutboxMail) -> OutboxMail | None:
        """The mail to send for a row, or None if the row is done with."""
        now = self._clock()
        if mail.expires_at <= now:
            self._drop(mail, now, Outcome.EXPIRED)
            return None
        if not mail.kind.is_request:
            return mail
        try:
            resolved = self._resolve(mail)
        except Exception as failure:
            self._put_off(mail, failure)
            return None
        if resolved is None:
            self._drop(mail, now, Outcome.UNWANTED)
            return None
        self._log.info("mail resolved", mail=str(resolved.id), request=str(mail.id), kind=resolved.kind.value)
        return replace(resolved, attempts=mail.attempts)

    def _deliver(self, mail: OutboxMail) -> None:
        try:
            self._send(mail)
        except ServerUnreachable:
            raise
        except (PermanentFailure, AddressInvalid) as failure:
            self._park(mail, failure)
        except Exception as failure:
            # Also what nobody foresaw: the next version may render what this one cannot.
            self._put_off(mail, failure)
        else:
            self._unrecorded.append(mail)
            self._record_sent()

    def _send(self, mail: OutboxMail) -> None:
        values = json.loads(self._vault.open(mail.sealed, context=f"outbox:{mail.id}"))
        self._carrier.carry(mail, values)

    def _record_sent(self) -> None:
        while self._unrecorded:
            mail = self._unrecorded[0]
            self._complete(mail)
            self._unrecorded.pop(0)
            self._decided(mail, Outcome.SENT)

    def _complete(self, mail: OutboxMail) -> None:
        now = self._clock()
        self._database.write(lambda tx: tx.outbox.complete(mail.id, now))

    # What becomes of a row. Errors are kept and logged by their class: a text may hold an address.

    def _put_off(self, mail: OutboxMail, failure: Exception) -> None:
        now = self._clock()
        at = now + wait_after(mail.attempts, mail.id, mail.expires_at - now)
        if at >= mail.expires_at:
            self._park(mail, failure)
            return
        self._database.write(lambda tx: tx.outbox.retry(mail.id, at, type(failure).__name__))
        self._decided(mail, Outcome.RETRIED, failure, until=at.isoformat())

    def _park(self, mail: OutboxMail, failure: Exception) -> None:
        now = self._clock()
        self._database.write(lambda tx: tx.outbox.park(mail.id, now, type(failure).__name__))
        self._decided(mail, Outcome.PARKED, failure)

    def _drop(self, mail: OutboxMail, now: datetime, outcome: Outcome) -> None:
        self._database.write(lambda tx: tx.outbox.drop(mail.id, now, outcome.value))
        self._decided(mail, outcome)

    def _decided(self, mail: OutboxMail, outcome: Outcome, failure: Exception | None = None, **fields: Any) -> None:
        if failure is not None:
            fields["failure"] = _told(failure)
        self._log.log(
            _LEVELS.get(outcome, logging.INFO),
            "mail",
            mail=str(mail.id),
            kind=mail.kind.value,
            outcome=outcome.value,
            attempts=mail.attempts,
            **fields,
        )
        self._on_outcome(mail.kind, outcome)

    def _lease(self, now: datetime, until: datetime) -> list[OutboxMail]:
        return self._database.write(lambda tx: tx.outbox.lease(now, until, _BATCH, self._carrier.channel))

    def _release(self, ids: list[UUID]) -> None:
        try:
            self._database.write(lambda tx: tx.outbox.release(ids))
        except Exception as failure:
            # The leases run out by themselves, and what led here must not be hidden.
            self._log.warning("leases could not be given back", leases=len(ids), failure=type(failure).__name__)

    # A server that is away.

    def _pause(self, failure: ServerUnreachable) -> None:
        """Leave the outbox alone for a while: 5 s, 10 s, … 1 min.

        No mail is charged with a try for it, so that all of them leave soon after the server is back.
        """
        wait = min(timedelta(seconds=5) * (1 << min(self._pauses, 8)), _LONGEST_PAUSE)
        self._pauses += 1
        self._resume_at = self._clock() + wait
        self._log.error("nothing leaves", next_try_in_s=wait.total_seconds(), failure=str(failure))

    def _is_paused(self) -> bool:
        # A pause that would be longer than any was begun by a clock that was wrong (F-10).
        return self._resume_at is not None and timedelta(0) < self._resume_at - self._clock() <= _LONGEST_PAUSE


def _told(failure: Exception) -> str:
    """Our own failures are written for logs; of any other only the class may be known."""
    if isinstance(failure, TemporaryFailure | PermanentFailure | AddressInvalid):
        return str(failure)
    return type(failure).__name__
