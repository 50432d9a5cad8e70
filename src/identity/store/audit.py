"""Rows of the audit journal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select

from identity.domain.audit import AuditEvent, Event
from identity.store.tables import audit_events

_insert = audit_events.insert()


class Audit:
    """Implements `domain.audit.AuditStore`. `on_event` hears of each that is added."""

    def __init__(self, connection: Connection, on_event: Callable[[Event], None]) -> None:
        self._connection = connection
        self._on_event = on_event

    def add(self, event: AuditEvent) -> None:
        self._on_event(event.event)
        self._connection.execute(
            _insert,
            {
                "id": event.id,
                "at": event.at,
                "event": event.event.value,
                "account_id": event.account_id,
                "tenant_id": event.tenant_id,
                "session_id": event.session_id,
                "source": event.source,
                "factor": event.factor,
                "detail": dict(event.detail),
            },
        )

    def newest(self, *, since: datetime, account_id: UUID | None, event: str | None, limit: int) -> list[AuditEvent]:
        query = select(*audit_events.c).where(audit_events.c.at >= since)
        if account_id is not None:
            query = query.where(audit_events.c.account_id == account_id)
        if event is not None:
            query = query.where(audit_events.c.event == event)
        query = query.order_by(audit_events.c.at.desc(), audit_events.c.id.desc()).limit(limit)
        return [AuditEvent(**{**row._asdict(), "event": Event(row.event)}) for row in self._connection.execute(query)]
