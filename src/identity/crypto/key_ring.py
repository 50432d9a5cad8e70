"""The key ring: the signing keys of the deployment, as this process holds them and as the database keeps them.

A replica that loads it makes the next key when one is due and picks up what others made (JW-04). Keys
are at rest encrypted under the master secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from identity.crypto.access_tokens import KeySet
from identity.crypto.signing_keys import Algorithm, SigningKey, generate
from identity.domain.ports import Database, Transaction, Vault
from identity.domain.signing_keys import (
    KEEP_PUBLISHED,
    PUBLISH_BEFORE_USE,
    StoredKey,
    published,
    signing,
    successor_due,
)


class KeyRing:
    """Call `load` at the start and now and then; `keys` and `jwks` answer from memory."""

    def __init__(self, database: Database, vault: Vault, clock: Callable[[], datetime], algorithm: Algorithm) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._algorithm = algorithm
        self._opened: dict[StoredKey, SigningKey] = {}
        self._keys: KeySet | None = None
        self._jwks: list[Mapping[str, str]] = []

    def keys(self) -> KeySet:
        """The key that signs now and those whose signatures count."""
        if self._keys is None:
            raise RuntimeError("the key ring was not loaded")
        return self._keys

    def jwks(self) -> list[Mapping[str, str]]:
        """The public keys as JSON Web Keys (RFC 7517), the signing one's successor included."""
        return self._jwks

    def load(self) -> None:
        """Read the keys, after making the next one if that is due."""
        now = self._clock()
        stored = self._database.read(lambda tx: tx.signing_keys.all())
        if successor_due(stored, now):
            self._database.write(lambda tx: self._add(tx, now, at_once=False))
            stored = self._database.read(lambda tx: tx.signing_keys.all())
            # Another process may have been faster, and its key signs from a moment after ours began.
            now = self._clock()
        live = published(stored, now)
        self._opened = {row: self._opened.get(row) or self._open(row) for row in live}
        fresh = KeySet.at(now, self._opened.values())
        old = self._keys
        # The same keys stay the same object, for whoever remembers what it verified with them.
        if old is None or old.signing != fresh.signing or old.verifying.keys() != fresh.verifying.keys():
            self._keys = fresh
            self._jwks = [dict(key.public_jwk) for key in self._opened.values()]

    def rotate(self, *, at_once: bool = False) -> None:
        """Make the next key. It signs once it has been published for a while.

        With `at_once` it signs from now on and every older key is gone, and with it every access token
        that it signed: for a key that may be known to others.
        """
        while not self._database.write(lambda tx: self._add(tx, self._clock(), at_once=at_once)) and at_once:
            pass  # Another process was faster, and its key has dropped none: once more, and that one goes too.
        self.load()

    def _add(self, tx: Transaction, now: datetime, *, at_once: bool) -> bool:
        older = tx.signing_keys.all()
        soon = now if at_once or signing(older, now) is None else now + PUBLISH_BEFORE_USE
        key = generate(self._algorithm, now, signs_from=soon)
        row = StoredKey(
            kid=key.kid,
            generation=max((row.generation for row in older), default=0) + 1,
            algorithm=key.algorithm,
            sealed=self._vault.seal(key.to_bytes(), context=f"signing_key:{key.kid}"),
            created_at=now,
            signs_from=key.signs_from,
            signs_until=key.signs_until,
            published_until=key.published_until,
        )
        if not tx.signing_keys.add(row):
            return False  # another process was faster, and its key is as good unless the others are to go
        keep = now if at_once else soon + KEEP_PUBLISHED
        tx.signing_keys.retire([row.kid for row in older], signs_until=soon, published_until=keep)
        return True

    def _open(self, row: StoredKey) -> SigningKey:
        key = SigningKey.from_bytes(self._vault.open(row.sealed, context=f"signing_key:{row.kid}"))
        return replace(key, signs_from=row.signs_from, signs_until=row.signs_until, published_until=row.published_until)
