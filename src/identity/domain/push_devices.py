"""Push devices: where a session's phone can be reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from identity.domain.throttles import Window

MOST = 20
"""How many an account keeps; the oldest leave (Z-22)."""

REGISTRATIONS = Window("push_registrations", limit=60, period=timedelta(hours=1))
"""How often an account may register one."""


class Platform(StrEnum):
    """Whose push service the token is for."""

    IOS = "ios"
    ANDROID = "android"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class PushDevice:
    """A push token, tied to the session that brought it. Only its digest can be compared, only we can read it."""

    id: UUID
    account_id: UUID
    session_id: UUID
    platform: Platform
    created_at: datetime
    digest: bytes = field(repr=False)
    sealed: bytes = field(repr=False)


class PushDeviceStore(Protocol):
    """Rows of push devices."""

    def put(self, device: PushDevice) -> UUID | None:
        """Write a device, over whoever had its token; the account that lost it, if another had (Z-22)."""

    def keep_newest(self, account_id: UUID, keep: int) -> None: ...

    def of(self, account_id: UUID) -> list[PushDevice]:
        """An account's devices, newest first."""

    def remove(self, account_id: UUID, *, device_id: UUID | None = None, digest: bytes | None = None) -> None:
        """Forget one of the account's devices, named by id or by token; nothing happens if there is none."""

    def forget_session(self, session_id: UUID) -> None:
        """Forget what a session brought."""
