"""Rows of push devices."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, delete, select

from identity.domain.push_devices import Platform, PushDevice
from identity.store.insert import insert
from identity.store.tables import push_devices as devices

_owner = select(devices.c.account_id).where(devices.c.digest == bindparam("digest")).with_for_update()
_of = (
    select(*devices.c)
    .where(devices.c.account_id == bindparam("account"))
    .order_by(devices.c.created_at.desc(), devices.c.id.desc())
)


class PushDevices:
    """Implements `domain.push_devices.PushDeviceStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, device: PushDevice) -> UUID | None:
        owner: UUID | None = self._connection.execute(_owner, {"digest": device.digest}).scalar()
        fresh = {
            "id": device.id,
            "account_id": device.account_id,
            "session_id": device.session_id,
            "sealed": device.sealed,
            "platform": device.platform.value,
            "created_at": device.created_at,
        }
        statement = (
            insert(self._connection, devices)
            .values(digest=device.digest, **fresh)
            .on_conflict_do_update(index_elements=[devices.c.digest], set_=fresh)
        )
        self._connection.execute(statement)
        return owner

    def keep_newest(self, account_id: UUID, keep: int) -> None:
        newest = select(devices.c.id).where(devices.c.account_id == account_id)
        newest = newest.order_by(devices.c.created_at.desc(), devices.c.id.desc()).limit(keep)
        self._connection.execute(delete(devices).where(devices.c.account_id == account_id, devices.c.id.not_in(newest)))

    def of(self, account_id: UUID) -> list[PushDevice]:
        return [_to_device(row) for row in self._connection.execute(_of, {"account": account_id})]

    def remove(self, account_id: UUID, *, device_id: UUID | None = None, digest: bytes | None = None) -> None:
        named = devices.c.id == device_id if device_id is not None else devices.c.digest == digest
        self._connection.execute(delete(devices).where(devices.c.account_id == account_id, named))

    def forget_session(self, session_id: UUID) -> None:
        self._connection.execute(delete(devices).where(devices.c.session_id == session_id))


def _to_device(row: Row[Any]) -> PushDevice:
    values = row._asdict()
    values["platform"] = Platform(values["platform"])
    return PushDevice(**values)
