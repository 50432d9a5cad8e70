"""Rows of invitations."""

from __future__ import annotations

import builtins
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from identity.domain.invites import Invite, InviteStatus
from identity.store.tables import invites

_PENDING = InviteStatus.PENDING.value
_get = select(*invites.c).where(invites.c.id == bindparam("invite"), invites.c.tenant_id == bindparam("tenant"))
_find = select(*invites.c).where(invites.c.digest == bindparam("digest"))
_supersede = (
    update(invites)
    .where(
        invites.c.tenant_id == bindparam("tenant"),
        invites.c.email == bindparam("address"),
        invites.c.status == _PENDING,
    )
    .values(status=InviteStatus.SUPERSEDED.value, answered_at=bindparam("now"))
)
_renew = (
    update(invites)
    .where(invites.c.id == bindparam("invite"), invites.c.status == _PENDING)
    .values(
        digest=bindparam("fresh"),
        sent_at=bindparam("now"),
        expires_at=bindparam("end"),
        invited_by_id=bindparam("inviter"),
        invited_by=bindparam("inviter_name"),
    )
    .returning(*invites.c)
)
_settle = (
    update(invites)
    .where(invites.c.id == bindparam("invite"), invites.c.status == _PENDING)
    .values(status=bindparam("outcome"), answered_at=bindparam("now"), account_id=bindparam("account"))
    .returning(*invites.c)
)
_forget_inviter = (
    update(invites).where(invites.c.invited_by_id == bindparam("inviter")).values(invited_by_id=None, invited_by="")
)
_note_account = update(invites).where(invites.c.id == bindparam("invite")).values(account_id=bindparam("account"))


class Invites:
    """Implements `domain.invites.InviteStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, invite: Invite) -> None:
        self._connection.execute(
            _supersede, {"tenant": invite.tenant_id, "address": invite.email, "now": invite.created_at}
        )
        self._connection.execute(
            invites.insert(),
            {
                "id": invite.id,
                "tenant_id": invite.tenant_id,
                "email": invite.email,
                "role": invite.role,
                "department_id": invite.department_id,
                "team_ids": list(invite.team_ids),
                "locale": invite.locale,
                "invited_by_id": invite.invited_by_id,
                "invited_by": invite.invited_by,
                "digest": invite.digest,
                "status": invite.status.value,
                "created_at": invite.created_at,
                "sent_at": invite.sent_at,
                "expires_at": invite.expires_at,
            },
        )

    def get(self, tenant_id: UUID, invite_id: UUID) -> Invite | None:
        return _first(self._connection.execute(_get, {"tenant": tenant_id, "invite": invite_id}).first())

    def find(self, digest: bytes) -> Invite | None:
        return _first(self._connection.execute(_find, {"digest": digest}).first())

    def list(
        self,
        tenant_id: UUID,
        *,
        status: InviteStatus | None,
        email: str | None,
        now: datetime,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> builtins.list[Invite]:
        query = select(*invites.c).where(invites.c.tenant_id == tenant_id)
        if status is InviteStatus.EXPIRED:
            query = query.where(invites.c.status == _PENDING, invites.c.expires_at <= now)
        elif status is InviteStatus.PENDING:
            query = query.where(invites.c.status == _PENDING, invites.c.expires_at > now)
        elif status is not None:
            query = query.where(invites.c.status == status.value)
        if email is not None:
            query = query.where(invites.c.email == email)
        if after is not None:
            created_at, invite_id = after
            query = query.where(
                (invites.c.created_at < created_at)
                | ((invites.c.created_at == created_at) & (invites.c.id < invite_id))
            )
        query = query.order_by(invites.c.created_at.desc(), invites.c.id.desc()).limit(limit)
        return [_to_invite(row) for row in self._connection.execute(query)]

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
        values = {
            "invite": invite_id,
            "fresh": digest,
            "now": now,
            "end": expires_at,
            "inviter": invited_by_id,
            "inviter_name": invited_by,
        }
        return _first(self._connection.execute(_renew, values).first())

    def settle(
        self, invite_id: UUID, status: InviteStatus, now: datetime, *, account_id: UUID | None = None
    ) -> Invite | None:
        values = {"invite": invite_id, "outcome": status.value, "now": now, "account": account_id}
        return _first(self._connection.execute(_settle, values).first())

    def forget(self, email: str) -> None:
        self._connection.execute(delete(invites).where(invites.c.email == email))

    def forget_inviter(self, account_id: UUID) -> None:
        self._connection.execute(_forget_inviter, {"inviter": account_id})

    def note_account(self, invite_id: UUID, account_id: UUID) -> None:
        self._connection.execute(_note_account, {"invite": invite_id, "account": account_id})


def _first(row: Row[Any] | None) -> Invite | None:
    return None if row is None else _to_invite(row)


def _to_invite(row: Row[Any]) -> Invite:
    values = row._asdict()
    values["status"] = InviteStatus(values["status"])
    values["team_ids"] = tuple(values["team_ids"])
    return Invite(**values)
