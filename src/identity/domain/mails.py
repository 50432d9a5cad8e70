"""Mails as values: what is to be said to whom, before anybody renders or sends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class MailKind(StrEnum):
    """What a mail is about; one template per kind and language.

    The two `REQUEST_` kinds hold nothing but an address: the dispatcher looks the account up when it
    comes to them, so that the RPC that queued them does the same work for known and unknown
    addresses (RC-03).
    """

    VERIFY_EMAIL = "verify_email"
    PASSWORD_RESET = "password_reset"
    PASSWORD_CHANGED = "password_changed"
    ACCOUNT_EXISTS = "account_exists"
    SESSION_REUSED = "session_reused"
    SIGN_IN_CODE = "sign_in_code"
    FACTOR_CHANGED = "factor_changed"
    INVITE = "invite"
    INVITE_ACCEPTED = "invite_accepted"
    INVITE_DECLINED = "invite_declined"
    TEMPORARY_PASSWORD = "temporary_password"
    UNLOCK_ACCOUNT = "unlock_account"
    NEW_DEVICE = "new_device"
    REQUEST_VERIFICATION = "request_verification"
    REQUEST_PASSWORD_RESET = "request_password_reset"

    @property
    def is_request(self) -> bool:
        """Whether this is a question to be resolved into a mail, not a mail."""
        return self in (MailKind.REQUEST_VERIFICATION, MailKind.REQUEST_PASSWORD_RESET)


class Channel(StrEnum):
    """The ways out of the outbox; each is worked on by itself, so that an outage of one is none of the other."""

    MAIL = "mail"
    SMS = "sms"


@dataclass(frozen=True, slots=True)
class OutboxMail:
    """A row of the outbox. `sealed` is the encrypted JSON of the template's values.

    `recipient` is a mail address, or the E.164 number of somebody who has none.
    """

    id: UUID
    kind: MailKind
    recipient: str
    locale: str
    sealed: bytes
    created_at: datetime
    expires_at: datetime
    attempts: int = 0

    @property
    def channel(self) -> Channel:
        """How this goes out. A request becomes a mail, also where it names somebody by their number."""
        by_number = self.recipient.startswith("+") and "@" not in self.recipient
        return Channel.SMS if by_number and not self.kind.is_request else Channel.MAIL


class OutboxStore(Protocol):
    """Rows of the outbox (F-12).

    A row waits until `complete`, `park` or `drop` ends it. These three, `retry`, `release` and `replace`
    leave a row alone that has ended, so a worker that lost its lease undoes nothing.
    """

    def add(self, mail: OutboxMail) -> None:
        """Queue a mail, due at once."""

    def lease(self, now: datetime, until: datetime, limit: int, channel: Channel = Channel.MAIL) -> list[OutboxMail]:
        """Take up to `limit` rows of a channel that are due and not leased at `now`, oldest first, until `until`.

        `attempts` goes up by one, in the row and in the returned mail. Only the oldest waiting row of a
        recipient and channel can be taken, so one that is leased or waits for a retry holds the younger ones back:
        mails to one person arrive in their order.
        """

    def complete(self, id: UUID, now: datetime) -> None:
        """The mail was handed over."""

    def retry(self, id: UUID, at: datetime, error: str) -> None:
        """End the lease; the row is due again at `at`."""

    def park(self, id: UUID, now: datetime, error: str) -> None:
        """The mail failed for good; it stays for people to look at."""

    def drop(self, id: UUID, now: datetime, reason: str) -> None:
        """The mail is not to be sent any more."""

    def release(self, ids: Sequence[UUID]) -> None:
        """Give leases back unused: due at once, and `attempts` goes back down by one."""

    def replace(self, old_id: UUID, mail: OutboxMail) -> bool:
        """Turn a request row into its mail: the row takes over every value of `mail`, the id too.

        It keeps its lease, its attempts and its place in the queue, so the caller may send at once.
        False if the row has ended or is gone; the mail is then not queued and must not be sent.
        """

    def forget(self, recipient: str) -> None:
        """Erase every mail to an address, sent or not."""

    def backlog(self, now: datetime) -> int:
        """How many rows wait, due or not."""
