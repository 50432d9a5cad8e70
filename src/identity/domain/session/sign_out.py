"""SignOut: ending a session for good, by whoever holds one of its tokens."""

from __future__ import annotations

from uuid import UUID

from identity.domain.audit import Event, record
from identity.domain.callers import Caller, Source
from identity.domain.ports import Transaction, World
from identity.domain.sessions import EndReason
from identity.domain.sign_in import announce


def sign_out(
    world: World, caller: Caller | None, refresh_token: str | None, push_token: str | None, source: Source
) -> None:
    """End the caller's session and the refresh token's; what is over or unknown changes nothing (Z-17).

    The push devices of a session go with it, and `push_token` if it is the account's.

    A refresh token of any age is good enough: whoever holds one can only end what it once opened, or what has been
    opened in its place since.
    """
    claim = world.refresh_tokens.read(refresh_token) if refresh_token else None
    wanted: set[UUID] = set()
    if caller is not None:
        wanted.add(caller.session_id)
    if claim is not None:
        wanted.add(claim.session_id)
    if not wanted:
        return
    now = world.clock()
    push_digest = world.secrets.digest(push_token) if push_token else None

    def end(tx: Transaction) -> None:
        for session_id in sorted(wanted):
            session = tx.sessions.end_line(session_id, now=now, reason=EndReason.SIGNED_OUT)
            if session is not None:
                if push_digest is not None:
                    tx.push_devices.remove(session.account_id, digest=push_digest)
                announce(world, tx, [session], now)
                record(
                    tx.audit,
                    Event.SIGNED_OUT,
                    now,
                    account_id=session.account_id,
                    session_id=session.id,
                    source=source,
                )

    world.database.write(end)
