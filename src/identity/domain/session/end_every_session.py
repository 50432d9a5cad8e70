"""Ending every session of everybody: after a restore, when nobody knows any more which had ended (F-23)."""

from __future__ import annotations

from identity.domain.audit import Event, record
from identity.domain.ports import Transaction, World
from identity.domain.sessions import EndReason
from identity.domain.sign_in import end_sessions

AT_ONCE = 100
"""Accounts in one unit of work: it is never long, and a call that was broken off is made again."""


def end_every_session(world: World) -> int:
    """End them, a few accounts at a time, and forget the devices that are known; how many ended."""

    def end(tx: Transaction) -> int | None:
        now = world.clock()
        accounts = tx.sessions.signed_in(now=now, limit=AT_ONCE)
        ended = 0
        for account_id in accounts:
            ended += len(end_sessions(world, tx, account_id, EndReason.REVOKED, now))
            record(tx.audit, Event.SESSION_REVOKED, now, account_id=account_id, by="operator")
        return ended if accounts else None

    total = 0
    while (ended := world.database.write(end)) is not None:
        total += ended
    return total
