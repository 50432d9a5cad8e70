"""RefreshSession: one live refresh token per session, and the same answer for whoever lost a reply (F-01)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from identity.domain import gate
from identity.domain.audit import Event, record
from identity.domain.callers import Source
from identity.domain.errors import (
    DomainError,
    ServiceUnavailable,
    SessionRevoked,
    TokenExpired,
    TokenInvalid,
    TokenReused,
)
from identity.domain.mails import MailKind
from identity.domain.notices import queue_notice
from identity.domain.places import described
from identity.domain.ports import RefreshClaim, Transaction, World
from identity.domain.sessions import EndReason, Place, Presented, Session, classify
from identity.domain.sign_in import Tokens, announce, mint


@dataclass(frozen=True, slots=True)
class Rotated:
    """A session after its rotation. `repeated` says that an earlier rotation was answered again."""

    session: Session
    at: datetime
    repeated: bool = False
    place: Place | None = None


def rotation(
    world: World,
    refresh_token: str,
    source: Source,
    *,
    fingerprint: str = "",
    with_account: bool = False,
    account_id: UUID | None = None,
) -> Callable[[Transaction], Rotated | DomainError]:
    """The unit of work that rotates a refresh token, for `Database.write` or `submit_write`.

    It returns a refusal instead of raising it, so that what it wrote, such as the end of a session
    whose old token came back, is committed. A token of another account than `account_id` changes nothing
    (SE-08), nor does one that comes with another `fingerprint` than that of the sign-in (N-22).
    Raises TokenInvalid for what was never a token of ours.
    """
    claim = world.refresh_tokens.read(refresh_token)
    if claim is None:
        raise TokenInvalid(field="refresh_token")
    now = world.clock()
    idle, proven_only = world.policy.lifetimes.session_idle, world.policy.verified_email_to_sign_in

    def rotate(tx: Transaction) -> Rotated | DomainError:
        if account_id is not None and not _belongs(tx, claim, account_id):
            return TokenInvalid(field="refresh_token")
        session = tx.sessions.rotate(
            claim.session_id,
            counter=claim.counter,
            fingerprint=fingerprint,
            now=now,
            idle=idle,
            proven_only=proven_only,
        )
        outcome = _refused(world, tx, claim, fingerprint, source, now) if session is None else Rotated(session, now)
        if (with_account or world.policy.claims) and isinstance(outcome, Rotated):
            return replace(outcome, place=described(world, tx, outcome.session.id))
        return outcome

    return rotate


def _belongs(tx: Transaction, claim: RefreshClaim, account_id: UUID) -> bool:
    session = tx.sessions.get(claim.session_id)
    return session is not None and session.account_id == account_id


def finish(world: World, outcome: Rotated | DomainError) -> tuple[Rotated, Tokens]:
    """The rotated session and its tokens. Raises the refusal, now that it is committed."""
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome, mint(world, outcome.session, outcome.at, outcome.place.account if outcome.place else None)


def _refused(
    world: World, tx: Transaction, claim: RefreshClaim, fingerprint: str, source: Source, now: datetime
) -> Rotated | DomainError:
    """Why the one statement changed nothing."""
    session = tx.sessions.get(claim.session_id)
    if session is None:
        return TokenInvalid(field="refresh_token")
    if session.revoked_at is not None:
        return SessionRevoked(field="refresh_token")
    if not session.is_live(now):
        return TokenExpired(field="refresh_token")
    match classify(session, claim.counter, now, world.policy.lifetimes.refresh_grace):
        case Presented.CURRENT | Presented.PARENT_IN_GRACE if session.device.is_another(fingerprint):
            return TokenInvalid(field="refresh_token")
        case Presented.PARENT_IN_GRACE if _admitted(world, tx, session, now):
            return Rotated(session, now, repeated=True)
        case Presented.AHEAD:
            # Only a database that went back in time has forgotten a rotation: no answer can be right (F-01).
            record(
                tx.audit,
                Event.REFRESH_TOKEN_AHEAD,
                now,
                account_id=session.account_id,
                session_id=session.id,
                source=source,
            )
            return ServiceUnavailable()
        case Presented.REUSED:
            return _end(world, tx, session, source, now)
        case _:
            # The token is live and the session too: it is the account or the tenant that is not.
            return SessionRevoked(field="refresh_token")


def _end(world: World, tx: Transaction, session: Session, source: Source, now: datetime) -> DomainError:
    """End a session whose old token came back, and tell its owner; whoever comes second finds it ended."""
    ended = tx.sessions.revoke(session.id, now=now, reason=EndReason.REUSE)
    account = tx.accounts.get(session.account_id)
    if ended is None or account is None:
        return SessionRevoked(field="refresh_token")
    announce(world, tx, [ended], now)
    record(tx.audit, Event.REFRESH_TOKEN_REUSED, now, account_id=account.id, session_id=session.id, source=source)
    queue_notice(world, tx, MailKind.SESSION_REUSED, account, now, device=session.device.name)
    return TokenReused(field="refresh_token")


def _admitted(world: World, tx: Transaction, session: Session, now: datetime) -> bool:
    """The gate of LG-06 for the one path to a token that the rotating statement did not take."""
    place = tx.sessions.describe(session.id)
    return place is not None and gate.refusal_to_go_on(world.policy, place.account, place.tenant, now) is None
