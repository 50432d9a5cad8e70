"""`identity keys`: the signing keys in the database, looked at and rotated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from identity.cli.output import fail, out, plain_errors, settings_at_fault, table
from identity.crypto.key_ring import KeyRing
from identity.crypto.keyring import Keyring
from identity.crypto.vault import Vault
from identity.domain.signing_keys import StoredKey, published, signing
from identity.settings import Settings, load_settings
from identity.store import migrate
from identity.store.database import Database, open_database
from identity.store.transaction import Transaction


def list_all() -> None:
    """Print the keys whose signatures count, newest first."""
    with plain_errors(), _database(load_settings()) as database:
        now = _now()
        keys = published(database.read(lambda tx: tx.signing_keys.all()), now)
        if not keys:
            out.print("There are no keys yet: the service makes the first one when it starts.")
            return
        active = signing(keys, now)
        newest_first = sorted(keys, key=lambda key: key.signs_from, reverse=True)
        table(
            ("KEY", "ALGORITHM", "NOW", "SIGNS FROM", "SIGNS UNTIL", "COUNTS UNTIL"),
            [(key.kid, key.algorithm, _role(key, active, now), *map(_moment, _times(key))) for key in newest_first],
        )


def rotate(*, at_once: bool) -> None:
    """Make the next key, and say from when it signs."""
    with plain_errors():
        settings = load_settings()
        with _database(settings) as database:
            ring = KeyRing(
                database,
                Vault(Keyring(settings.master_secret(), settings.other_secrets())),
                _now,
                settings.signing_algorithm,
            )
            ring.rotate(at_once=at_once)
            newest = max(database.read(lambda tx: tx.signing_keys.all()), key=lambda key: key.generation)
    if at_once:
        out.print(f"The key {newest.kid} signs now, and no other counts. Replicas follow within 15 seconds.")
    else:
        out.print(f"The key {newest.kid} is published now and signs from {_moment(newest.signs_from)}.")


@contextmanager
def _database(settings: Settings) -> Iterator[Database[Transaction]]:
    with settings_at_fault():
        if missing := migrate.pending(settings.database):
            fail(f"The database's schema is {len(missing)} step(s) behind this version. Run: identity migrate")
        database = open_database(settings.database, Transaction)
    try:
        yield database
    finally:
        database.close()


def _role(key: StoredKey, active: StoredKey | None, now: datetime) -> str:
    if active is not None and key.kid == active.kid:
        return "signs"
    return "next" if now < key.signs_from else "verifies"


def _times(key: StoredKey) -> tuple[datetime, datetime, datetime]:
    return key.signs_from, key.signs_until, key.published_until


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%MZ}"


def _now() -> datetime:
    return datetime.now(UTC)
