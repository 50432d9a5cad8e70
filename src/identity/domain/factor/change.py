"""What every change of factors has in common: other sessions end, half-done sign-ins end, the owner is told (OT-08)."""

from __future__ import annotations

from datetime import datetime

from identity.domain.accounts import Account
from identity.domain.audit import Event, record
from identity.domain.callers import Caller, Source
from identity.domain.mails import MailKind
from identity.domain.notices import queue_notice
from identity.domain.ports import Transaction, World
from identity.domain.sessions import EndReason
from identity.domain.sign_in import end_sessions


def factor_changed(
    world: World,
    tx: Transaction,
    account: Account,
    event: Event,
    factor: str,
    caller: Caller,
    source: Source,
    now: datetime,
) -> int:
    """Write a change of factors into the journal and let its consequences follow; the sessions that ended."""
    ended = end_sessions(world, tx, account.id, EndReason.FACTOR, now, except_id=caller.session_id)
    tx.challenges.discard(account.id, now)
    record(tx.audit, event, now, account_id=account.id, session_id=caller.session_id, source=source, factor=factor)
    queue_notice(world, tx, MailKind.FACTOR_CHANGED, account, now)
    return len(ended)
