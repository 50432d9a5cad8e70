"""Bearer tokens: from an access token to the caller it stands for."""

from __future__ import annotations

from datetime import datetime, timedelta

from identity.domain.callers import Caller
from identity.domain.errors import ServiceUnavailable, SessionRevoked
from identity.domain.ports import Transaction, World
from identity.domain.sessions import Session
from identity.domain.tokens import AccessClaims

STALE_AFTER = timedelta(seconds=5)
"""How old this process's view of ended sessions may be before it refuses to vouch for anybody (AV-02)."""

OVERLAP = timedelta(seconds=30)
"""How far a poll looks back: longer than any transaction may take to become visible."""


def authenticate(world: World, access_token: str) -> Caller:
    """The caller of a live access token, without touching the database.

    Raises Unauthenticated or TokenExpired for a bad token, SessionRevoked for one whose session has
    ended anywhere, ServiceUnavailable while ended sessions cannot be learned of.
    """
    now = world.clock()
    claims = world.access_tokens.verify(access_token, now)
    check_not_ended(world, claims)
    return Caller(
        account_id=claims.account_id,
        session_id=claims.session_id,
        tenant_id=claims.tenant_id,
        role=claims.role,
        level=claims.level or 0,
        amr=claims.amr,
        authenticated_at=claims.authenticated_at,
        scope=claims.scope,
    )


def check_not_ended(world: World, claims: AccessClaims) -> None:
    """Raises SessionRevoked for a session that has ended, ServiceUnavailable while that cannot be known."""
    if world.revoked.covers(claims.session_id, claims.issued_at):
        raise SessionRevoked()
    learned_at = world.revoked.learned_at
    if learned_at is None or world.monotonic() - learned_at > STALE_AFTER.total_seconds():
        raise ServiceUnavailable(retry_after=1)


def live_session(tx: Transaction, caller: Caller, now: datetime) -> Session:
    """The caller's session, for what gives tokens or changes what proves who somebody is.

    Raises SessionRevoked where it has ended since the call was let in: nothing may come of it any more (F-09).
    """
    session = tx.sessions.get(caller.session_id)
    if session is None or not session.is_live(now):
        raise SessionRevoked()
    return session


def learn_revocations(world: World) -> None:
    """Bring this process's view of ended sessions up to date; to be called at least once a second (SE-04)."""
    begun = world.monotonic()
    now = world.clock()
    learned_until = world.revoked.learned_until
    if learned_until is None:
        since = now - world.policy.lifetimes.access_token - timedelta(minutes=2)
    else:
        # From the last look on, however long ago that was; a clock that was set back counts as well.
        since = min(now, learned_until) - OVERLAP

    def learn(tx: Transaction) -> None:
        world.revoked.learn(tx.revocations.since(since))

    world.database.read(learn)
    world.revoked.forget(now)
    world.revoked.learned_at, world.revoked.learned_until = begun, now
