"""Rows of what is kept under the master secret, for the day on which it changes (F-22)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Select, func, select, update

from identity.store.tables import accounts, factors, push_devices, recovery_codes, signing_keys


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
AT_ONCE = 200
"""Values in one unit of work: it is never long, and a call that was broken off is made again."""


class Mark(NamedTuple):
    """How far a walk over all values has come: the kind, and the last row of it."""

    kind: int = 0
    after: Any = None


class SealedRows:
    """Signing keys, factors, push devices, codes and passwords, as far as a secret is in them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def stale(self, header: bytes) -> int:
        """Count the values that were sealed under another secret than the one whose seals begin with `header`."""
        return sum(
            self._count(
                select(func.count())
                .select_from(kind.key.table)
                .where(kind.value.is_not(None), func.substr(kind.value, 1, len(header)) != header)
            )
            for kind in _KINDS
        )

    def reseal(
        self, mark: Mark, is_current: Callable[[bytes], bool], again: Callable[[bytes, str], bytes]
    ) -> tuple[int, Mark | None]:
        """Seal the next few of those anew; `again` makes a new value of an old one and its context.

        How many it were, and where to go on; None once all are done.
        """
        kind, changed = _KINDS[mark.kind], 0
        query = select(kind.key, kind.value).where(kind.value.is_not(None)).order_by(kind.key).limit(AT_ONCE)
        rows = self._connection.execute(query if mark.after is None else query.where(kind.key > mark.after)).all()
        for key, value in rows:
            sealed = bytes(value)
            if not is_current(sealed):
                fresh = again(sealed, f"{kind.context}:{key}")
                # Whoever changed the row meanwhile has sealed it under the new secret.
                unchanged = (kind.key == key, kind.value == sealed)
                self._connection.execute(update(kind.key.table).where(*unchanged).values({kind.value.name: fresh}))
                changed += 1
        if len(rows) == AT_ONCE:
            return changed, Mark(mark.kind, rows[-1][0])
        return changed, Mark(mark.kind + 1) if mark.kind + 1 < len(_KINDS) else None

    def passwords_not_under(self, pepper_id: str) -> int:
        """Count the accounts whose password was hashed under another secret."""
        stored = accounts.c.password_hash
        return self._count(select(func.count()).where(stored.is_not(None), stored.not_like(f"v1${pepper_id}$%")))

    def recovery_codes_not_under(self, key_id: str) -> int:
        """Count the accounts that have recovery codes of another secret, of which there is nothing to seal anew."""
        made_under = bytes.fromhex(key_id)
        others = func.substr(recovery_codes.c.digest, 1, len(made_under)) != made_under
        return self._count(select(func.count(recovery_codes.c.account_id.distinct())).where(others))

    def _count(self, query: Select[int]) -> int:
        return self._connection.execute(query).scalar_one()
