"""RegisterPushDevice, RemovePushDevice and ListPushDevices."""

from __future__ import annotations

from uuid import UUID

from identity.domain.audit import Event, record
from identity.domain.authentication import live_session
from identity.domain.callers import Caller, Source
from identity.domain.errors import RateLimited
from identity.domain.ids import new_id
from identity.domain.ports import Transaction, World
from identity.domain.push_devices import MOST, REGISTRATIONS, Platform, PushDevice


def register_push_device(world: World, caller: Caller, token: str, platform: Platform, source: Source) -> PushDevice:
    """Tie a push token to the caller's session; whoever had it loses it, without a hint to the caller (Z-22).

    Raises SessionRevoked or RateLimited.
    """
    now = world.clock()
    digest = world.secrets.digest(token)
    device_id = new_id(now)
    device = PushDevice(
        id=device_id,
        account_id=caller.account_id,
        session_id=caller.session_id,
        platform=platform,
        created_at=now,
        digest=digest,
        sealed=world.vault.seal(token.encode(), context=f"push:{device_id}"),
    )

    def register(tx: Transaction) -> None:
        # First the row of the account: whoever ends the session beside this waits for it, or is seen by it (F-09).
        tx.accounts.hold(caller.account_id)
        live_session(tx, caller, now)
        budget = world.throttle_keys.digest("push", str(caller.account_id))
        if not tx.throttles.charge_window(budget, REGISTRATIONS, now):
            raise RateLimited(retry_after=REGISTRATIONS.period.total_seconds())
        loser = tx.push_devices.put(device)
        tx.push_devices.keep_newest(caller.account_id, MOST)
        if loser is not None and loser != caller.account_id:
            record(tx.audit, Event.PUSH_DEVICE_LOST, now, account_id=loser)
        record(
            tx.audit,
            Event.PUSH_DEVICE_REGISTERED,
            now,
            account_id=caller.account_id,
            session_id=caller.session_id,
            source=source,
        )

    world.database.write(register)
    return device


def remove_push_device(world: World, caller: Caller, *, device_id: UUID | None, token: str | None) -> None:
    """Forget one of the caller's devices; what is not theirs gets the same silence."""
    digest = world.secrets.digest(token) if token is not None else None
    world.database.write(lambda tx: tx.push_devices.remove(caller.account_id, device_id=device_id, digest=digest))


def list_push_devices(world: World, caller: Caller) -> list[PushDevice]:
    """The caller's devices, newest first."""
    return world.database.read(lambda tx: tx.push_devices.of(caller.account_id))
