"""Identifiers of rows: UUIDv7, so that new rows land beside each other in an index (RFC 9562 §5.7).

They name things and are no secrets: whatever must not be guessed comes from `World.secrets`.
"""

from __future__ import annotations

import os
from datetime import datetime
from uuid import UUID


def new_id(now: datetime) -> UUID:
    """A fresh UUIDv7 that carries `now` in milliseconds."""
    value = int(now.timestamp() * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)
