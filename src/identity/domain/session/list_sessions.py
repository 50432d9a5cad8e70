"""ListSessions, RevokeSession and RevokeSessions: where somebody is signed in, and ending it (SE-06)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from identity.domain.account.members import check_reach, find_member, hold_member
from identity.domain.audit import Event, record
from identity.domain.authorization import is_granted
from identity.domain.callers import Caller, Source
from identity.domain.errors import NotFound, PermissionDenied
from identity.domain.paging import Page, PageRequest, cut, read_position
from identity.domain.ports import Transaction, World
from identity.domain.sessions import EndReason, Session
from identity.domain.sign_in import announce, end_sessions


def list_sessions(world: World, caller: Caller, account_id: UUID | None, page: PageRequest) -> Page[Session]:
    """Live sessions, newest first: the caller's, or another account's in the caller's tenant with the permission.

    Raises PermissionDenied, NotFound or InvalidRequest.
    """
    now = world.clock()
    whose = account_id or caller.account_id
    name = f"sessions:{whose}"
    position = read_position(world, page, name)
    here = None if whose == caller.account_id else caller.tenant_id
    after = (datetime.fromisoformat(position[0]), UUID(position[1])) if position else None

    def look(tx: Transaction) -> list[Session]:
        if whose != caller.account_id:
            if not is_granted(world, tx, caller, "sessions:view"):
                raise PermissionDenied(permission="sessions:view")
            find_member(world, tx, caller, whose)
        return tx.sessions.live(whose, now=now, after=after, limit=page.limit + 1, tenant_id=here)

    rows = world.database.read(look)
    return cut(world, page, name, rows, lambda row: [row.authenticated_at.isoformat(), str(row.id)])


def revoke_session(world: World, caller: Caller, session_id: UUID, source: Source) -> None:
    """End one session, of the caller or of somebody in reach, or what took its place; it can be repeated.

    Raises NotFound.
    """
    now = world.clock()

    def revoke(tx: Transaction) -> None:
        session = tx.sessions.get(session_id)
        if session is None:
            raise NotFound(field="id")
        if session.account_id != caller.account_id:
            if not is_granted(world, tx, caller, "sessions:delete"):
                raise NotFound(field="id")
            check_reach(caller, hold_member(world, tx, caller, session.account_id))
            if session.tenant_id != caller.tenant_id:
                raise NotFound(field="id")
        ended = tx.sessions.end_line(session_id, now=now, reason=EndReason.REVOKED)
        if ended is not None:
            announce(world, tx, [ended], now)
            _record(tx, caller, ended.account_id, ended.id, source, now)

    world.database.write(revoke)


def revoke_sessions(
    world: World, caller: Caller, account_id: UUID | None, *, keep_current: bool, source: Source
) -> int:
    """End every session of the caller, or all but the current one, or those of somebody in reach in its tenant.

    How many ended. What somebody does in another tenant is nothing to an administrator of this one (AZ-02).

    Raises PermissionDenied or NotFound.
    """
    now = world.clock()
    whose = account_id or caller.account_id

    def revoke(tx: Transaction) -> int:
        # Held in any case: a session that is being opened beside this is either seen here, or not opened (F-09).
        if whose == caller.account_id:
            tx.accounts.hold(whose)
            keep = caller.session_id if keep_current else None
            ended = end_sessions(world, tx, whose, EndReason.REVOKED, now, except_id=keep)
        elif not is_granted(world, tx, caller, "sessions:delete"):
            raise PermissionDenied(permission="sessions:delete")
        else:
            check_reach(caller, hold_member(world, tx, caller, whose))
            ended = tx.sessions.revoke_all(whose, now=now, reason=EndReason.REVOKED, tenant_id=caller.tenant_id)
            announce(world, tx, ended, now)
        _record(tx, caller, whose, None, source, now)
        return len(ended)

    return world.database.write(revoke)


def _record(
    tx: Transaction, caller: Caller, account_id: UUID, session_id: UUID | None, source: Source, now: datetime
) -> None:
    record(
        tx.audit,
        Event.SESSION_REVOKED,
        now,
        account_id=account_id,
        tenant_id=caller.tenant_id,
        session_id=session_id,
        source=source,
        by=str(caller.account_id),
    )
