"""Invitations: a total state machine from pending to exactly one end.

    pending -> accepted | declined | revoked | superseded | expired

What has ended stays as it is; expiry is a matter of the clock at the moment of use, never of a sweep.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from identity.domain.errors import InviteExpired, InviteNotFound, InviteUsed

LIFETIME = timedelta(days=7)
"""How long an invitation waits for its answer (RC-02)."""


class InviteStatus(StrEnum):
    """`EXPIRED` is what a pending invitation is called once its time is over; no row says so."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Invite:
    """An invitation. It fixes tenant, address and role: nobody who answers it brings any of them (RC-07)."""

    id: UUID
    tenant_id: UUID
    email: str
    role: str
    locale: str
    invited_by_id: UUID | None
    invited_by: str
    digest: bytes = field(repr=False)
    status: InviteStatus
    created_at: datetime
    sent_at: datetime
    expires_at: datetime
    department_id: str | None = None
    team_ids: tuple[str, ...] = ()
    answered_at: datetime | None = None
    account_id: UUID | None = None

    def status_at(self, now: datetime) -> InviteStatus:
        """What the invitation is at a moment."""
        if self.status is InviteStatus.PENDING and now >= self.expires_at:
            return InviteStatus.EXPIRED
        return self.status


class InviteStore(Protocol):
    """Rows of invitations."""

    def add(self, invite: Invite) -> None:
        """Write an invitation; the tenant's pending one to the same address is superseded."""

    def get(self, tenant_id: UUID, invite_id: UUID) -> Invite | None: ...

    def find(self, digest: bytes) -> Invite | None: ...

    def list(
        self,
        tenant_id: UUID,
        *,
        status: InviteStatus | None,
        email: str | None,
        now: datetime,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[Invite]:
        """A tenant's invitations, newest first, from behind `after`."""

    def renew(
        self,
        invite_id: UUID,
        *,
        digest: bytes,
        now: datetime,
        expires_at: datetime,
        invited_by_id: UUID,
        invited_by: str,
    ) -> Invite | None:
        """Give a pending invitation a new token, a new end and the inviter of now; None unless it is pending."""

    def settle(
        self, invite_id: UUID, status: InviteStatus, now: datetime, *, account_id: UUID | None = None
    ) -> Invite | None:
        """End a pending invitation, in one conditional statement; None unless it was pending."""

    def forget(self, email: str) -> None:
        """Erase every invitation to an address."""

    def forget_inviter(self, account_id: UUID) -> None:
        """Erase who invited, wherever it was this one."""

    def note_account(self, invite_id: UUID, account_id: UUID) -> None:
        """Note who accepted."""


def check(invite: Invite | None, now: datetime) -> Invite:
    """The invitation, if it can be answered. Raises InviteNotFound, InviteUsed or InviteExpired."""
    if invite is None:
        raise InviteNotFound(field="token")
    match invite.status_at(now):
        case InviteStatus.PENDING:
            return invite
        case InviteStatus.EXPIRED:
            raise InviteExpired(field="token")
        case _:
            raise InviteUsed(field="token")
