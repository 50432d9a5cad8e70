"""Rows of sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, Connection, String, and_, bindparam, exists, or_, select, update

from identity.domain.accounts import AccountStatus
from identity.domain.sessions import Device, EndReason, Place, Session
from identity.store.accounts import to_account
from identity.store.prepared import Prepared
from identity.store.tables import accounts, memberships, sessions, tenants
from identity.store.tenants import to_membership, to_tenant

_COLUMNS = tuple(sessions.c)
_NAMES = tuple(column.name for column in _COLUMNS)
_DEVICE = ("device_type", "device_name", "device_os", "device_fingerprint")
_live = and_(
    sessions.c.revoked_at.is_(None),
    sessions.c.idle_expires_at > bindparam("now"),
    sessions.c.expires_at > bindparam("now"),
)
_insert = sessions.insert().returning(*_COLUMNS)
_get = Prepared(select(*_COLUMNS).where(sessions.c.id == bindparam("id")))
_describe = Prepared(
    select(*_COLUMNS, *accounts.c, *tenants.c, *memberships.c)
    .join_from(sessions, accounts, accounts.c.id == sessions.c.account_id)
    .outerjoin(tenants, tenants.c.id == sessions.c.tenant_id)
    .outerjoin(
        memberships,
        and_(memberships.c.tenant_id == sessions.c.tenant_id, memberships.c.account_id == sessions.c.account_id),
    )
    .where(sessions.c.id == bindparam("id"))
)
_ends = tuple(accumulate(len(table.c) for table in (sessions, accounts, tenants, memberships)))
_PARTS = tuple(slice(start, end) for start, end in zip((0, *_ends), _ends, strict=False))
_has_device = select(
    exists().where(
        sessions.c.account_id == bindparam("account"),
        *(sessions.c[name] == bindparam(name) for name in _DEVICE),
    )
)
_known_device = select(sessions.c.known_device).where(
    sessions.c.id == bindparam("session"), sessions.c.account_id == bindparam("account")
)
# Whoever ends sessions or forgets devices holds the account first, as others do who hold it anyway: in one order,
# nobody waits in a circle. NO KEY UPDATE lets those pass who only refer to it.
_hold_account = select(accounts.c.number).where(accounts.c.id == bindparam("account")).with_for_update(key_share=True)
_hold_owner = (
    select(accounts.c.number)
    .where(
        accounts.c.id == select(sessions.c.account_id).where(sessions.c.id == bindparam("session")).scalar_subquery()
    )
    .with_for_update(key_share=True)
)
_forget_devices = (
    update(sessions)
    .where(sessions.c.account_id == bindparam("account"), sessions.c.known_device.is_not(None))
    .values(known_device=None)
)
_forget_device = _forget_devices.where(sessions.c.known_device == bindparam("device"))
_kept = sessions.alias("kept")
_forget_other_devices = _forget_devices.where(
    sessions.c.known_device.is_distinct_from(
        select(_kept.c.known_device).where(_kept.c.id == bindparam("except")).scalar_subquery()
    )
)
_rotate = Prepared(
    update(sessions)
    .where(
        sessions.c.id == bindparam("session"),
        sessions.c.counter == bindparam("presented"),
        sessions.c.remembered,
        _live,
        or_(
            bindparam("fingerprint", type_=String()) == "",
            sessions.c.device_fingerprint.in_(["", bindparam("fingerprint", type_=String())]),
        ),
        # `gate.refusal_to_go_on`, in the statement itself: nothing is read before it is decided.
        exists().where(
            accounts.c.id == sessions.c.account_id,
            accounts.c.status == AccountStatus.ACTIVE.value,
            ~accounts.c.require_password_change,
            or_(accounts.c.password_expires_at.is_(None), accounts.c.password_expires_at > bindparam("now")),
            or_(
                ~bindparam("proven_only", type_=Boolean()),
                accounts.c.email.is_(None),
                accounts.c.email_verified_at.is_not(None),
            ),
        ),
        ~exists().where(tenants.c.id == sessions.c.tenant_id, tenants.c.suspended_at.is_not(None)),
    )
    .values(
        counter=sessions.c.counter + 1,
        refreshed_at=bindparam("now"),
        idle_expires_at=bindparam("idle_until"),
    )
    .returning(*_COLUMNS)
)
_end = update(sessions).values(revoked_at=bindparam("now"), revoked_reason=bindparam("reason")).returning(*_COLUMNS)
_revoke = _end.where(sessions.c.id == bindparam("session"), sessions.c.revoked_at.is_(None))
_line = sessions.alias("line")
_revoke_successor = _end.where(
    *(
        sessions.c[name] == select(_line.c[name]).where(_line.c.id == bindparam("session")).scalar_subquery()
        for name in ("account_id", "known_device")
    ),
    sessions.c.revoked_at.is_(None),
)
_revoke_all = _end.where(sessions.c.account_id == bindparam("account"), _live)
_change_level = (
    update(sessions)
    .where(sessions.c.tenant_id == bindparam("tenant"), sessions.c.role == bindparam("wanted"), _live)
    .values(level=bindparam("new_level"), tokens_from=bindparam("from"))
    .returning(*_COLUMNS)
)
_live_of = (
    select(*_COLUMNS)
    .where(sessions.c.account_id == bindparam("account"), _live)
    .order_by(sessions.c.authenticated_at.desc(), sessions.c.id.desc())
)
_newest = (
    select(sessions.c.id)
    .where(sessions.c.account_id == bindparam("account"), _live)
    .order_by(sessions.c.authenticated_at.desc(), sessions.c.id.desc())
    .limit(bindparam("keep"))
)
_revoke_oldest = _revoke_all.where(sessions.c.id.not_in(_newest))


class Sessions:
    """Implements `domain.sessions.SessionStore`."""

    def __init__(self, connection: Connection, changed: Callable[[UUID], None]) -> None:
        self._connection = connection
        self._changed = changed

    def add(self, session: Session) -> Session:
        row = self._connection.execute(
            _insert,
            {
                "id": session.id,
                "account_id": session.account_id,
                "tenant_id": session.tenant_id,
                "role": session.role,
                "level": session.level,
                "counter": session.counter,
                "amr": " ".join(session.amr),
                "scope": session.scope,
                "remembered": session.remembered,
                "authenticated_at": session.authenticated_at,
                "idle_expires_at": session.idle_expires_at,
                "expires_at": session.expires_at,
                "device_type": session.device.type,
                "device_name": session.device.name,
                "device_os": session.device.os,
                "device_fingerprint": session.device.fingerprint,
                "origin": session.origin,
                "user_agent": session.user_agent,
                "ip": session.ip,
                "known_device": session.known_device,
            },
        ).one()
        return to_session(row)

    def get(self, session_id: UUID) -> Session | None:
        row = _get.first(self._connection, {"id": session_id})
        return None if row is None else to_session(row)

    def describe(self, session_id: UUID) -> Place | None:
        row = _describe.first(self._connection, {"id": session_id})
        if row is None:
            return None
        session, account, tenant, membership = (row[part] for part in _PARTS)
        return Place(
            session=to_session(session),
            account=to_account(account),
            tenant=None if tenant[0] is None else to_tenant(tenant),
            membership=None if membership[0] is None else to_membership(membership),
        )

    def has_device(self, account_id: UUID, device: Device) -> bool:
        values = dict(zip(_DEVICE, (device.type, device.name, device.os, device.fingerprint), strict=True))
        return bool(self._connection.execute(_has_device, {"account": account_id, **values}).scalar_one())

    def known_device(self, session_id: UUID, account_id: UUID | None) -> UUID | None:
        return self._connection.execute(_known_device, {"session": session_id, "account": account_id}).scalar()

    def forget_device(self, account_id: UUID, known_device: UUID) -> None:
        self._connection.execute(_hold_account, {"account": account_id})
        self._connection.execute(_forget_device, {"account": account_id, "device": known_device})

    def rotate(
        self, session_id: UUID, *, counter: int, fingerprint: str, now: datetime, idle: timedelta, proven_only: bool
    ) -> Session | None:
        values = {
            "session": session_id,
            "presented": counter,
            "fingerprint": fingerprint,
            "now": now,
            "idle_until": now + idle,
            "proven_only": proven_only,
        }
        row = _rotate.first(self._connection, values)
        return None if row is None else self._written(row)

    def live(
        self,
        account_id: UUID,
        *,
        now: datetime,
        after: tuple[datetime, UUID] | None,
        limit: int,
        tenant_id: UUID | None = None,
    ) -> list[Session]:
        query = _live_of if tenant_id is None else _live_of.where(sessions.c.tenant_id == tenant_id)
        if after is not None:
            begun, session_id = after
            query = query.where(
                (sessions.c.authenticated_at < begun)
                | ((sessions.c.authenticated_at == begun) & (sessions.c.id < session_id))
            )
        rows = self._connection.execute(query.limit(limit), {"account": account_id, "now": now})
        return [to_session(row) for row in rows]

    def signed_in(self, *, now: datetime, limit: int) -> list[UUID]:
        query = select(sessions.c.account_id).where(_live).distinct().limit(limit)
        return list(self._connection.execute(query, {"now": now}).scalars())

    def revoke(self, session_id: UUID, *, now: datetime, reason: EndReason) -> Session | None:
        return self._revoke(_revoke, session_id, now, reason)

    def end_line(self, session_id: UUID, *, now: datetime, reason: EndReason) -> Session | None:
        # Two statements: the second one sees what was committed while the first one waited.
        ended = self._revoke(_revoke, session_id, now, reason)
        return ended or self._revoke(_revoke_successor, session_id, now, reason)

    def _revoke(self, statement: Any, session_id: UUID, now: datetime, reason: EndReason) -> Session | None:
        self._connection.execute(_hold_owner, {"session": session_id})
        values = {"session": session_id, "now": now, "reason": reason}
        row = self._connection.execute(statement, values).first()
        if row is None:
            return None
        session = self._written(row)
        if session.known_device is not None and not reason.spares_device:
            self.forget_device(session.account_id, session.known_device)
        return session

    def revoke_all(
        self,
        account_id: UUID,
        *,
        now: datetime,
        reason: EndReason,
        except_id: UUID | None = None,
        tenant_id: UUID | None = None,
    ) -> list[Session]:
        statement, forget = _revoke_all, _forget_other_devices
        if except_id is not None:
            statement = statement.where(sessions.c.id != except_id)
        if tenant_id is not None:
            statement = statement.where(sessions.c.tenant_id == tenant_id)
            forget = forget.where(sessions.c.tenant_id == tenant_id)
        values = {"account": account_id, "now": now, "reason": reason}
        ended = [self._written(row) for row in self._connection.execute(statement, values)]
        if not reason.spares_device:
            self._connection.execute(forget, {"account": account_id, "except": except_id})
        return ended

    def change_level(
        self, tenant_id: UUID, role: str, *, level: int, tokens_from: datetime, now: datetime
    ) -> list[Session]:
        values = {"tenant": tenant_id, "wanted": role, "new_level": level, "from": tokens_from, "now": now}
        return [self._written(row) for row in self._connection.execute(_change_level, values)]

    def revoke_oldest(self, account_id: UUID, *, keep: int, now: datetime, reason: EndReason) -> list[Session]:
        values = {"account": account_id, "keep": keep, "now": now, "reason": reason}
        return [self._written(row) for row in self._connection.execute(_revoke_oldest, values)]

    def _written(self, row: Sequence[Any]) -> Session:
        session = to_session(row)
        self._changed(session.account_id)
        return session


def to_session(row: Sequence[Any]) -> Session:
    """The domain's value of a row of `sessions`."""
    values = dict(zip(_NAMES, row, strict=True))
    values["amr"] = tuple(values["amr"].split())
    values["device"] = Device(*(values.pop(name) for name in _DEVICE))
    return Session(**values)
