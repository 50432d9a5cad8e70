"""Service keys: what backends call with. A key has a name and scopes; only its digest is stored."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

PREFIX = "isk_"
"""What every service key begins with, so that scanners of code find one that leaked."""

SCOPES = frozenset({"token:introspect", "session:watch", "reset:issue"})
"""Every scope that a key can have: those that RPCs of the contract name."""


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """A key at rest."""

    id: UUID
    name: str
    scopes: frozenset[str]
    created_at: datetime
    digest: bytes = field(repr=False)
    revoked_at: datetime | None = None


class ServiceKeyStore(Protocol):
    """Rows of service keys."""

    def all(self) -> list[ServiceKey]:
        """Every key, by name."""

    def add(self, key: ServiceKey) -> bool:
        """Write a key; False when the name is taken."""

    def revoke(self, name: str, now: datetime) -> bool:
        """End a key; False unless it was live."""


class KnownServiceKeys:
    """The live keys as this process knows them, kept fresh by `learn`."""

    def __init__(self) -> None:
        self._keys: dict[bytes, ServiceKey] = {}

    def learn(self, keys: Iterable[ServiceKey]) -> None:
        self._keys = {key.digest: key for key in keys if key.revoked_at is None}

    def find(self, digest: bytes) -> ServiceKey | None:
        return self._keys.get(digest)
