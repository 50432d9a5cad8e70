"""Sessions: one sign-in on one device, and the rules by which it goes on or ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Protocol
from uuid import UUID

from identity.domain.accounts import Account
from identity.domain.policy import Role
from identity.domain.tenants import Membership, Tenant

PASSWORD_CHANGE = "password_change"
"""The scope of a session that may only change the password, read itself and sign out."""


class EndReason(StrEnum):
    """Why a session ended before its time."""

    SIGNED_OUT = "signed_out"
    REVOKED = "revoked"
    PASSWORD = "password"
    FACTOR = "factor"
    ACCOUNT = "account"
    MEMBERSHIP = "membership"
    REUSE = "reuse"

    @property
    def spares_device(self) -> bool:
        """Whether the device stays known: somebody left or has another place by now, and nobody is suspected."""
        return self in (EndReason.SIGNED_OUT, EndReason.MEMBERSHIP)


@dataclass(frozen=True, slots=True)
class Device:
    """What a client says of itself. Labels only: they never skip a factor (Z-28)."""

    type: str = ""
    name: str = ""
    os: str = ""
    fingerprint: str = ""

    def is_another(self, fingerprint: str) -> bool:
        """Whether a client that says this of itself cannot be this device; one that says nothing may be any."""
        return "" not in (self.fingerprint, fingerprint) and self.fingerprint != fingerprint


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in.

    `number` is 0 until it is written, `counter` is the number of the one refresh token that is live.
    `idle_expires_at` moves with every refresh, `expires_at` never does (SE-03). Only a `remembered`
    session has a refresh token; one with a `scope` never is. Access tokens issued before `tokens_from`,
    where that is set, no longer count. `known_device` is what its device is known by at later sign-ins, also
    when the session has ended: the id of the session that it first signed in with, or None once that is
    forgotten (LG-03).
    """

    id: UUID
    account_id: UUID
    tenant_id: UUID | None
    role: str | None
    level: int
    counter: int
    amr: tuple[str, ...]
    authenticated_at: datetime
    idle_expires_at: datetime
    expires_at: datetime
    refreshed_at: datetime | None = None
    scope: str | None = None
    remembered: bool = True
    number: int = 0
    device: Device = Device()
    origin: str = ""
    user_agent: str = ""
    ip: str | None = None
    revoked_at: datetime | None = None
    revoked_reason: EndReason | None = None
    tokens_from: datetime | None = None
    known_device: UUID | None = None

    def is_live(self, now: datetime) -> bool:
        """Whether the session still works at `now`."""
        return self.revoked_at is None and now < self.idle_expires_at and now < self.expires_at


class Presented(Enum):
    """What a presented refresh token is, compared with the session's counter (F-01)."""

    CURRENT = auto()
    PARENT_IN_GRACE = auto()
    REUSED = auto()
    AHEAD = auto()


def classify(session: Session, counter: int, now: datetime, grace: timedelta) -> Presented:
    """Judge a refresh token of a live session.

    Only the immediate parent of the live token, within `grace` of the rotation, gets the same
    successor again; anything older is theft until proven otherwise (RFC 9700 §4.14.2). A counter
    ahead of the stored one means that the database went back in time.
    """
    if counter == session.counter:
        return Presented.CURRENT
    if counter > session.counter:
        return Presented.AHEAD
    # A clock that was set back since does not make the moment last (F-10); one that is a little behind does no harm.
    recent = session.refreshed_at is not None and abs(now - session.refreshed_at) < grace
    return Presented.PARENT_IN_GRACE if counter == session.counter - 1 and recent else Presented.REUSED


@dataclass(frozen=True, slots=True)
class Place:
    """A session with the person and the place it stands for."""

    session: Session
    account: Account
    tenant: Tenant | None = None
    membership: Membership | None = None
    role: Role | None = None


class SessionStore(Protocol):
    """Rows of sessions."""

    def add(self, session: Session) -> Session: ...

    def get(self, session_id: UUID) -> Session | None: ...

    def describe(self, session_id: UUID) -> Place | None:
        """A session and what it stands for, in one query; its role is for the caller to look up."""

    def has_device(self, account_id: UUID, device: Device) -> bool:
        """Whether a session of the account, live or ended, says the same of its device in every word."""

    def known_device(self, session_id: UUID, account_id: UUID | None) -> UUID | None:
        """What the device of a session, live or ended, is known by; None for one of another account."""

    def forget_device(self, account_id: UUID, known_device: UUID) -> None:
        """Let a device be as unknown as any from here on."""

    def rotate(
        self, session_id: UUID, *, counter: int, fingerprint: str, now: datetime, idle: timedelta, proven_only: bool
    ) -> Session | None:
        """Advance the counter in one statement, if it is `counter` and the session is live on this device (F-01).

        The gate stands in the statement too (LG-06): `proven_only` is whether it asks for a proven address.
        """

    def live(
        self,
        account_id: UUID,
        *,
        now: datetime,
        after: tuple[datetime, UUID] | None,
        limit: int,
        tenant_id: UUID | None = None,
    ) -> list[Session]:
        """An account's live sessions, or those in one tenant, newest first, from behind `after`."""

    def signed_in(self, *, now: datetime, limit: int) -> list[UUID]:
        """Some accounts that have live sessions."""

    def revoke(self, session_id: UUID, *, now: datetime, reason: EndReason) -> Session | None:
        """End a session; None when it had ended before. Unless the reason spares it, its device is forgotten."""

    def end_line(self, session_id: UUID, *, now: datetime, reason: EndReason) -> Session | None:
        """End a session, or the one that has been opened in its place meanwhile; None when there is neither (F-09)."""

    def revoke_all(
        self,
        account_id: UUID,
        *,
        now: datetime,
        reason: EndReason,
        except_id: UUID | None = None,
        tenant_id: UUID | None = None,
    ) -> list[Session]:
        """End every live session of an account but one, or those in one tenant, and return those that were ended.

        Unless the reason spares them every device but that one's is forgotten, of older sessions too: what
        a stranger has kept of an old sign-in is worth nothing any more (RC-08). In one tenant, those of
        its sessions.
        """

    def change_level(
        self, tenant_id: UUID, role: str, *, level: int, tokens_from: datetime, now: datetime
    ) -> list[Session]:
        """Give the live sessions of a role its new level; their older access tokens no longer count."""

    def revoke_oldest(self, account_id: UUID, *, keep: int, now: datetime, reason: EndReason) -> list[Session]:
        """End the oldest live sessions so that `keep` remain (SE-06)."""
