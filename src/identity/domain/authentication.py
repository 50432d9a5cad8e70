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
    check_fresh(world)


def check_fresh(world: World) -> None:
    """Raises ServiceUnavailable while this process's view of ended sessions is too old to vouch for anybody."""
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
    """Bring this process's view of ended sessions up to date; to be called at least once a second (SE-04).

    Several looks may overlap, as they do when one of them waits for a database that is away.
    """
    begun = world.monotonic()
    now = world.clock()
    since, learned_until = oldest_that_counts(world, now), world.revoked.learned_until
    # From the last look on, however long ago that was. But after a clock was set back all over again: what had expired
    # by the wrong time was forgotten, and may be live (F-10).
    if learned_until is not None and learned_until <= now:
        since = learned_until - OVERLAP

    def learn(tx: Transaction) -> None:
        world.revoked.learn(tx.revocations.since(since))

    world.database.read(learn)
    world.revoked.forget(now)
    world.revoked.learned(begun, now)


def oldest_that_counts(world: World, now: datetime) -> datetime:
    """The moment before which no revocation can matter: every access token of that time has expired."""
    return now - world.policy.lifetimes.access_token - timedelta(minutes=2)
