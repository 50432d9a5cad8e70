"""Signing keys as rows: which one signs now, which are published, when a new one is due (JW-04)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

PUBLISH_BEFORE_USE = timedelta(minutes=10)
"""How long a key stands in the JWKS before it signs, so that every cache has it by then."""

LIFETIME = timedelta(days=90)
"""How long a key signs before the next one takes over by itself."""

KEEP_PUBLISHED = timedelta(hours=24)
"""How long a key stays in the JWKS after it signed last: longer than any access token lives."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key at rest; `sealed` is the encrypted private part."""

    kid: str
    generation: int
    algorithm: str
    sealed: bytes
    created_at: datetime
    signs_from: datetime
    signs_until: datetime
    published_until: datetime


class SigningKeyStore(Protocol):
    """Rows of signing keys."""

    def all(self) -> list[StoredKey]: ...
    def add(self, key: StoredKey) -> bool:
        """Write a key; False when another process has made this generation."""

    def retire(self, kids: Iterable[str], *, signs_until: datetime, published_until: datetime) -> None:
        """Let keys sign no longer than `signs_until` and leave the JWKS at `published_until`."""

    def remove(self, kids: Iterable[str]) -> None: ...


def published(keys: Iterable[StoredKey], now: datetime) -> list[StoredKey]:
    """The keys whose signatures count at `now`."""
    return [key for key in keys if now < key.published_until]


def signing(keys: Sequence[StoredKey], now: datetime) -> StoredKey | None:
    """The key that signs at `now`: the newest whose time has come."""
    due = [key for key in keys if key.signs_from <= now < key.signs_until]
    return max(due, key=lambda key: key.signs_from, default=None)


def successor_due(keys: Sequence[StoredKey], now: datetime) -> bool:
    """Whether a new key must be made so that one is published in time before the newest stops."""
    return not any(now + 2 * PUBLISH_BEFORE_USE < key.signs_until for key in keys)
