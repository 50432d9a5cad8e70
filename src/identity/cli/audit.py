"""`identity audit`: the journal, read in order."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

from identity.cli.output import fail, out, plain_errors, table
from identity.domain.audit import AuditEvent
from identity.settings import load_settings
from identity.store import migrate
from identity.store.database import open_database
from identity.store.transaction import Transaction


def run(*, account: str, event: str, hours: float, limit: int, as_json: bool) -> None:
    """Print the newest events that fit, oldest first."""
    with plain_errors():
        settings = load_settings()
        if missing := migrate.pending(settings.database):
            fail(f"The database's schema is {len(missing)} step(s) behind this version. Run: identity migrate")
        database = open_database(settings.database, Transaction)
        since = datetime.now(UTC) - timedelta(hours=hours)
        try:
            events = database.read(
                lambda tx: tx.audit.newest(since=since, account_id=_account(account), event=event or None, limit=limit)
            )
        finally:
            database.close()
    if as_json:
        for row in reversed(events):
            out.print(json.dumps(_plain(row), ensure_ascii=True), markup=False)
        return
    if not events:
        out.print("Nothing that fits happened in this time.")
        return
    rows = [
        (f"{row.at:%Y-%m-%d %H:%M:%S}", row.event.value, str(row.account_id or "-"), row.source or "-", _detail(row))
        for row in reversed(events)
    ]
    table(("WHEN (UTC)", "WHAT", "ACCOUNT", "FROM", "MORE"), rows)


def _account(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        fail("--account takes the id of an account, a UUID.")


def _detail(row: AuditEvent) -> str:
    factor = {"factor": row.factor} if row.factor else {}
    return " ".join(f"{key}={value}" for key, value in {**factor, **row.detail}.items())


def _plain(row: AuditEvent) -> dict[str, object]:
    return {
        "id": str(row.id),
        "at": row.at.isoformat(),
        "event": row.event.value,
        "account_id": str(row.account_id) if row.account_id else None,
        "tenant_id": str(row.tenant_id) if row.tenant_id else None,
        "session_id": str(row.session_id) if row.session_id else None,
        "source": row.source,
        "factor": row.factor,
        "detail": dict(row.detail),
    }
