"""Mails as values: what is to be said to whom, before anybody renders or sends it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
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
    REQUEST_VERIFICATION = "request_verification"
    REQUEST_PASSWORD_RESET = "request_password_reset"


@dataclass(frozen=True, slots=True)
class OutboxMail:
    """A row of the outbox. `sealed` is the encrypted JSON of the template's values."""

    id: UUID
    kind: MailKind
    recipient: str
    locale: str
    sealed: bytes
    created_at: datetime
    expires_at: datetime
    attempts: int = 0
