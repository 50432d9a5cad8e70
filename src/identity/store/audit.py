"""Rows of the audit journal."""

from __future__ import annotations

from sqlalchemy import Connection

from identity.domain.audit import AuditEvent
from identity.store.tables import audit_events

_insert = audit_events.insert()


class Audit:
    """Implements `domain.audit.AuditStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, event: AuditEvent) -> None:
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
