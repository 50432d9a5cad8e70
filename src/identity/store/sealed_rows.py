"""Rows of what is kept under the master secret, for the day on which it changes (F-22)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, func, select, update

from identity.store.tables import accounts, factors, push_devices, signing_keys


class _Kind(NamedTuple):
    """A column of sealed values: what names the row, and how that is told to the vault."""

    key: Column[Any]
    value: Column[Any]
    context: str


# Mails and challenges that wait are sealed too, and over before anybody could hurry.
_KINDS = (
    _Kind(signing_keys.c.kid, signing_keys.c.sealed, "signing_key"),
    _Kind(factors.c.id, factors.c.sealed_secret, "factor"),
    _Kind(push_devices.c.id, push_devices.c.sealed, "push"),
)


class SealedRows:
    """Signing keys, factors, push devices and passwords, as far as a secret is in them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def stale(self, is_current: Callable[[bytes], bool]) -> int:
        """Count the values that were sealed under another secret."""
        return sum(not is_current(sealed) for kind in _KINDS for _, sealed in self._rows(kind))

    def reseal(self, is_current: Callable[[bytes], bool], again: Callable[[bytes, str], bytes]) -> int:
        """Seal those anew; `again` makes a new value of an old one and its context. How many it were."""
        changed = 0
        for kind in _KINDS:
            for key, sealed in self._rows(kind):
                if not is_current(sealed):
                    fresh = again(sealed, f"{kind.context}:{key}")
                    # Whoever changed the row meanwhile has sealed it under the new secret.
                    unchanged = (kind.key == key, kind.value == sealed)
                    self._connection.execute(update(kind.key.table).where(*unchanged).values({kind.value.name: fresh}))
                    changed += 1
        return changed

    def passwords_not_under(self, pepper_id: str) -> int:
        """Count the accounts whose password was hashed under another secret."""
        stored = accounts.c.password_hash
        query = select(func.count()).where(stored.is_not(None), stored.not_like(f"v1${pepper_id}$%"))
        return int(self._connection.execute(query).scalar_one())

    def _rows(self, kind: _Kind) -> Iterator[tuple[Any, bytes]]:
        query = select(kind.key, kind.value).where(kind.value.is_not(None))
        for key, sealed in self._connection.execute(query).all():
            yield key, bytes(sealed)
