"""What must hold for the database as a whole: nothing is half there. Each query counts what may not be."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import psycopg

HALVES = {
    # F-03
    "a tenant without a member": """
        SELECT count(*) FROM tenants t WHERE NOT EXISTS (SELECT 1 FROM memberships m WHERE m.tenant_id = t.id)
        AND t.suspended_at IS NULL""",
    "an owner without a tenant": """
        SELECT count(*) FROM accounts a WHERE a.role IN ('owner', 'admin')
        AND NOT EXISTS (SELECT 1 FROM memberships m WHERE m.account_id = a.id)""",
    "an account without its event": """
        SELECT count(*) FROM accounts a WHERE 1 <> (SELECT count(*) FROM audit_events e
        WHERE e.account_id = a.id AND e.event IN ('account_registered', 'setup_completed'))""",
    "a registration without its account": """
        SELECT count(*) FROM audit_events e WHERE e.event = 'account_registered'
        AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = e.account_id)""",
    "an account without its mail": """
        SELECT count(*) FROM accounts a WHERE a.role <> 'admin' AND 1 <> (SELECT count(*) FROM outbox o
        WHERE o.recipient = a.email AND o.kind = 'verify_email')""",
    "an account without its token": """
        SELECT count(*) FROM accounts a WHERE a.role <> 'admin' AND 1 <> (SELECT count(*) FROM one_time_tokens t
        WHERE t.account_id = a.id AND t.purpose = 'verify_email')""",
    "a mail that could not be sent": """
        SELECT count(*) FROM outbox WHERE status NOT IN ('waiting', 'sent')""",
    # F-04
    "a used-up token without its effect": """
        SELECT count(*) FROM one_time_tokens t JOIN accounts a ON a.id = t.account_id
        WHERE t.purpose = 'verify_email' AND t.consumed_at IS NOT NULL AND a.email_verified_at IS NULL""",
    "a proof without a used-up token": """
        SELECT count(*) FROM accounts a WHERE a.role <> 'admin' AND a.email_verified_at IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM one_time_tokens t WHERE t.account_id = a.id AND t.consumed_at IS NOT NULL)""",
    "a proof without its event, or the reverse": """
        SELECT count(*) FROM accounts a WHERE a.role <> 'admin' AND (a.email_verified_at IS NOT NULL) <> EXISTS
        (SELECT 1 FROM audit_events e WHERE e.account_id = a.id AND e.event IN ('email_verified', 'password_reset'))""",
    "more resets than used-up tokens": """
        SELECT count(*) FROM accounts a WHERE
        (SELECT count(*) FROM audit_events e WHERE e.account_id = a.id AND e.event = 'password_reset') >
        (SELECT count(*) FROM one_time_tokens t WHERE t.account_id = a.id AND t.purpose = 'reset_password'
        AND t.consumed_at IS NOT NULL)""",
    "a new password without its notice, or the reverse": """
        SELECT count(*) FROM accounts a WHERE
        (SELECT count(*) FROM audit_events e WHERE e.account_id = a.id
        AND e.event IN ('password_reset', 'password_changed')) <>
        (SELECT count(*) FROM outbox o WHERE o.recipient = a.email AND o.kind = 'password_changed')""",
    "a set-up without its administrator": """
        SELECT count(*) FROM deployment WHERE 1 <> (SELECT count(*) FROM accounts WHERE role = 'admin')""",
    "an administrator without the set-up": """
        SELECT count(*) FROM accounts WHERE role = 'admin' AND NOT EXISTS (SELECT 1 FROM deployment)""",
    # F-02
    "a session without its event": """
        SELECT count(*) FROM sessions s WHERE 1 <> (SELECT count(*) FROM audit_events e
        WHERE e.session_id = s.id AND e.event = 'signed_in')""",
    "a sign-in without its session": """
        SELECT count(*) FROM audit_events e WHERE e.event = 'signed_in'
        AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.id = e.session_id)""",
    "sign-ins that were not counted, or the reverse": """
        SELECT count(*) FROM accounts a WHERE a.role <> 'admin' AND a.sign_in_count <>
        (SELECT count(*) FROM sessions s WHERE s.account_id = a.id)""",
    "a counter that went without its time, or the reverse": """
        SELECT count(*) FROM sessions WHERE (counter > 0) <> (refreshed_at IS NOT NULL)""",
    "an ended session that nobody hears of, or the reverse": """
        SELECT count(*) FROM sessions s WHERE (s.revoked_at IS NOT NULL) <> EXISTS
        (SELECT 1 FROM revocations r WHERE r.session_id = s.id)""",
    "a sign-out without its event, or the reverse": """
        SELECT count(*) FROM sessions s WHERE (s.revoked_reason IS NOT NULL AND s.revoked_reason = 'signed_out') <>
        EXISTS (SELECT 1 FROM audit_events e WHERE e.session_id = s.id AND e.event = 'signed_out')""",
}


def halves(url: str) -> dict[str, int]:
    """What is only half there, and how often; empty in a database that is whole."""
    with closing(connect(url)) as connection:
        counts = {what: connection.execute(query).fetchone()[0] for what, query in HALVES.items()}
        if url.startswith("sqlite:"):
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert not connection.execute("PRAGMA foreign_key_check").fetchall()
    return {what: number for what, number in counts.items() if number}


def count(url: str, table: str, where: str = "1 = 1") -> int:
    """How many rows there are."""
    with closing(connect(url)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0])


def connect(url: str) -> Any:
    """A connection of our own, beside the service, in which every statement stands alone."""
    if url.startswith("sqlite:"):
        return sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    return psycopg.connect(url, autocommit=True)
