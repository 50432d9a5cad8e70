"""Audit: what happened to whom, written in the transaction that did it (LO-01).

An event holds ids, closed words and a source, never a password, code, token or full address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from identity.domain.callers import Source
from identity.domain.ids import new_id


class Event(StrEnum):
    """What can happen. A name is a fact in the past tense."""

    SETUP_COMPLETED = "setup_completed"
    ACCOUNT_REGISTERED = "account_registered"
    REGISTRATION_REPEATED = "registration_repeated"
    EMAIL_VERIFIED = "email_verified"
    SIGNED_IN = "signed_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_IN_BLOCKED = "sign_in_blocked"
    SIGN_IN_REFUSED = "sign_in_refused"
    CODE_FAILED = "code_failed"
    FACTOR_ENROLLED = "factor_enrolled"
    FACTOR_REMOVED = "factor_removed"
    RECOVERY_CODES_RENEWED = "recovery_codes_renewed"
    INVITE_CREATED = "invite_created"
    INVITE_RESENT = "invite_resent"
    INVITE_REVOKED = "invite_revoked"
    INVITE_ACCEPTED = "invite_accepted"
    INVITE_DECLINED = "invite_declined"
    ACCOUNT_CREATED = "account_created"
    ACCOUNT_CHANGED = "account_changed"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_ENABLED = "account_enabled"
    ACCOUNT_LOCKED = "account_locked"
    ACCOUNT_UNLOCKED = "account_unlocked"
    ACCOUNT_DELETED = "account_deleted"
    MEMBER_REMOVED = "member_removed"
    SESSION_REVOKED = "session_revoked"
    PUSH_DEVICE_REGISTERED = "push_device_registered"
    PUSH_DEVICE_LOST = "push_device_lost"
    SERVICE_KEY_CREATED = "service_key_created"
    SERVICE_KEY_REVOKED = "service_key_revoked"
    TENANT_CHANGED = "tenant_changed"
    ROLE_CHANGED = "role_changed"
    ROLE_REMOVED = "role_removed"
    SIGNED_OUT = "signed_out"
    PASSWORD_RESET_SENT = "password_reset_sent"
    PASSWORD_RESET_ISSUED = "password_reset_issued"
    PASSWORD_RESET = "password_reset"
    PASSWORD_CHANGED = "password_changed"
    SESSION_EVICTED = "session_evicted"
    REFRESH_TOKEN_REUSED = "refresh_token_reused"
    REFRESH_TOKEN_AHEAD = "refresh_token_ahead"


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One fact. `factor` is what was proven, `detail` holds closed words only."""

    id: UUID
    at: datetime
    event: Event
    account_id: UUID | None = None
    tenant_id: UUID | None = None
    session_id: UUID | None = None
    source: str | None = None
    factor: str | None = None
    detail: Mapping[str, str] = field(default_factory=dict)


class AuditStore(Protocol):
    """The journal: only ever appended to."""

    def add(self, event: AuditEvent) -> None: ...

    def newest(self, *, since: datetime, account_id: UUID | None, event: str | None, limit: int) -> list[AuditEvent]:
        """The newest events that fit, newest first."""


def record(
    journal: AuditStore,
    event: Event,
    now: datetime,
    *,
    account_id: UUID | None = None,
    tenant_id: UUID | None = None,
    session_id: UUID | None = None,
    source: Source | None = None,
    factor: str | None = None,
    **detail: str,
) -> None:
    """Append one event to the journal."""
    journal.add(
        AuditEvent(
            id=new_id(now),
            at=now,
            event=event,
            account_id=account_id,
            tenant_id=tenant_id,
            session_id=session_id,
            source=source.address if source else None,
            factor=factor,
            detail=detail,
        )
    )
