"""Rows of the mail outbox. A lease is a due time that lies ahead: a crashed worker's simply comes due again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    not_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from identity.domain.mails import Channel, MailKind, OutboxMail
from identity.store.database import Action
from identity.store.tables import outbox

_log = structlog.get_logger("identity.store")

_WAITING = "waiting"
_VALUES = tuple(
    outbox.c[name] for name in ("id", "kind", "recipient", "locale", "sealed", "created_at", "expires_at", "attempts")
)
_older = outbox.alias("older")
_REQUESTS = tuple(kind.value for kind in MailKind if kind.is_request)


def _is_of(channel: Channel, row: FromClause) -> ColumnElement[bool]:
    """What `OutboxMail.channel` says, as a condition."""
    by_sms = and_(row.c.recipient.like("+%"), row.c.recipient.not_like("%@%"), row.c.kind.not_in(_REQUESTS))
    return by_sms if channel is Channel.SMS else not_(by_sms)


def _lease_of(channel: Channel) -> ReturningUpdate[Any]:
    due = (
        select(outbox.c.id)
        .where(
            outbox.c.status == _WAITING,
            outbox.c.due_at <= bindparam("now"),
            _is_of(channel, outbox),
            ~exists().where(
                _older.c.recipient == outbox.c.recipient,
                _older.c.status == _WAITING,
                _is_of(channel, _older),
                (_older.c.created_at < outbox.c.created_at)
                | ((_older.c.created_at == outbox.c.created_at) & (_older.c.id < outbox.c.id)),
            ),
        )
        .order_by(outbox.c.due_at, outbox.c.id)
        .limit(bindparam("most"))
        .with_for_update(skip_locked=True)
    )
    return (
        update(outbox)
        .where(outbox.c.id.in_(due.scalar_subquery()), outbox.c.status == _WAITING, outbox.c.due_at <= bindparam("now"))
        .values(due_at=bindparam("lease_until"), attempts=outbox.c.attempts + 1)
        .returning(*_VALUES)
    )


_lease = {channel: _lease_of(channel) for channel in Channel}
_waiting_row = update(outbox).where(outbox.c.id == bindparam("row"), outbox.c.status == _WAITING)
# What has ended keeps no content: a copy of the database tells nobody what a mail said.
_end = _waiting_row.values(status=bindparam("outcome"), finished_at=bindparam("at"), error=bindparam("why"), sealed=b"")
_retry = _waiting_row.values(due_at=bindparam("at"), error=bindparam("why"))
_release = (
    update(outbox).where(outbox.c.status == _WAITING).values(due_at=outbox.c.created_at, attempts=outbox.c.attempts - 1)
)
_backlog = select(func.count()).select_from(outbox).where(outbox.c.status == _WAITING)


class Outbox:
    """Implements `domain.mails.OutboxStore`.

    A mail that was queued is logged once it is committed, with the id of the request that did it: from there on its
    lines carry its own id.
    """

    def __init__(self, connection: Connection, after_commit: Callable[[Action], None]) -> None:
        self._connection = connection
        self._after_commit = after_commit

    def add(self, mail: OutboxMail) -> None:
        told = {"mail": str(mail.id), "kind": mail.kind.value, "channel": mail.channel.value}
        self._after_commit(partial(copy_context().run, _log.info, "mail queued", **told))
        self._connection.execute(
            outbox.insert(),
            {
                "id": mail.id,
                "kind": mail.kind.value,
                "recipient": mail.recipient,
                "locale": mail.locale,
                "sealed": mail.sealed,
                "status": _WAITING,
                "attempts": mail.attempts,
                "due_at": mail.created_at,
                "created_at": mail.created_at,
                "expires_at": mail.expires_at,
            },
        )

    def lease(self, now: datetime, until: datetime, limit: int, channel: Channel = Channel.MAIL) -> list[OutboxMail]:
        rows = self._connection.execute(_lease[channel], {"now": now, "lease_until": until, "most": limit})
        return sorted((_to_mail(row) for row in rows), key=lambda mail: (mail.created_at, mail.id))

    def complete(self, id: UUID, now: datetime) -> None:
        self._end(id, "sent", now, None)

    def retry(self, id: UUID, at: datetime, error: str) -> None:
        self._connection.execute(_retry, {"row": id, "at": at, "why": error[:128]})

    def park(self, id: UUID, now: datetime, error: str) -> None:
        self._end(id, "parked", now, error)

    def drop(self, id: UUID, now: datetime, reason: str) -> None:
        self._end(id, "dropped", now, reason)

    def release(self, ids: Sequence[UUID]) -> None:
        self._connection.execute(_release.where(outbox.c.id.in_(list(ids))))

    def replace(self, old_id: UUID, mail: OutboxMail) -> bool:
        statement = _waiting_row.values(
            id=mail.id,
            kind=mail.kind.value,
            recipient=mail.recipient,
            locale=mail.locale,
            sealed=mail.sealed,
            created_at=mail.created_at,
            expires_at=mail.expires_at,
        ).returning(outbox.c.id)
        return self._connection.execute(statement, {"row": old_id}).first() is not None

    def forget(self, recipient: str) -> None:
        self._connection.execute(delete(outbox).where(outbox.c.recipient == recipient))

    def backlog(self, now: datetime) -> int:
        return self._connection.execute(_backlog).scalar_one()

    def _end(self, id: UUID, outcome: str, now: datetime, error: str | None) -> None:
        self._connection.execute(
            _end, {"row": id, "outcome": outcome, "at": now, "why": None if error is None else error[:128]}
        )


def _to_mail(row: Row[tuple[object, ...]]) -> OutboxMail:
    values = row._asdict()
    return OutboxMail(**{**values, "kind": MailKind(values["kind"])})
