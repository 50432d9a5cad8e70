"""One-time tokens: the secrets in mails, of which only a digest is stored (RC-01)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from identity.domain.errors import LinkExpired, LinkNotFound, LinkUsed


class Purpose(StrEnum):
    """What a token is good for; one of another purpose does not exist for its reader."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"
    UNLOCK_ACCOUNT = "unlock_account"


@dataclass(frozen=True, slots=True)
class OneTimeToken:
    """A mailed token, bound to its purpose, its account and the address it was sent to."""

    digest: bytes
    purpose: Purpose
    account_id: UUID
    email: str
    created_at: datetime
    expires_at: datetime
    consumed_at: datetime | None = None


class OneTimeTokenStore(Protocol):
    """Rows of one-time tokens."""

    def add(self, token: OneTimeToken) -> None:
        """Write a token; every older one of the same account and purpose dies."""

    def get(self, digest: bytes, purpose: Purpose) -> OneTimeToken | None: ...

    def consume(self, digest: bytes, purpose: Purpose, now: datetime) -> OneTimeToken | None:
        """Use a token up, in one conditional statement; None unless it was live."""

    def discard(self, account_id: UUID, now: datetime) -> None:
        """Use up every token of an account, so that none outlives a change of password."""


def check(token: OneTimeToken | None, now: datetime) -> OneTimeToken:
    """The token, if it is live. Raises LinkNotFound, LinkUsed or LinkExpired; expiry is exact (RC-02)."""
    if token is None:
        raise LinkNotFound(field="token")
    if token.consumed_at is not None:
        raise LinkUsed(field="token")
    if now >= token.expires_at:
        raise LinkExpired(field="token")
    return token
