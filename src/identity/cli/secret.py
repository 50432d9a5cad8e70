"""`identity secret`: what still needs an old master secret, and making that less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from identity.cli.output import fact, fail, heading, out, plain_errors, settings_at_fault
from identity.crypto.keyring import Keyring
from identity.crypto.vault import Vault, VaultError
from identity.settings import Settings, load_settings
from identity.store import migrate
from identity.store.database import Database, open_database
from identity.store.transaction import Transaction

_TOO_EARLY = "Something was made under a secret that is in neither IDENTITY_SECRET nor IDENTITY_OLD_SECRETS."


class _Place(NamedTuple):
    """An opened database and what the secrets of the settings yield."""

    database: Database[Transaction]
    keyring: Keyring
    vault: Vault


def status() -> None:
    """Say what would be lost without the old secrets."""
    with plain_errors(), _place(load_settings()) as place:
        _tell(place)


def reseal() -> None:
    """Seal what an old secret sealed under the new one, and say what is left."""
    with plain_errors(), _place(load_settings()) as place:
        vault = place.vault

        def again(sealed: bytes, context: str) -> bytes:
            return vault.seal(vault.open(sealed, context), context)

        try:
            number = place.database.write(lambda tx: tx.sealed.reseal(vault.is_current, again))
        except VaultError:
            fail(_TOO_EARLY)
        out.print(f"Sealed anew: {number}.")
        _tell(place)


def _tell(place: _Place) -> None:
    stale = place.database.read(lambda tx: tx.sealed.stale(place.vault.is_current))
    passwords = place.database.read(lambda tx: tx.sealed.passwords_not_under(place.keyring.pepper_id))
    heading("What still needs an old secret")
    fact("Sealed", f"{stale}" + ("; `identity secret reseal` seals them under the new one" if stale else ""))
    fact("Passwords", f"{passwords}" + ("; each moves when its owner signs in" if passwords else ""))
    if not stale and not passwords:
        out.print("Nothing: IDENTITY_OLD_SECRETS can go, 30 days after the change, when the last old session is over.")


@contextmanager
def _place(settings: Settings) -> Iterator[_Place]:
    with settings_at_fault():
        keyring = Keyring(settings.master_secret(), settings.other_secrets())
    if migrate.pending(settings.database):
        fail("The database's schema is behind this version. Run: identity migrate")
    database = open_database(settings.database, Transaction)
    try:
        yield _Place(database, keyring, Vault(keyring))
    finally:
        database.close()
