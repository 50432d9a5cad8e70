"""`identity secret`: what still needs an old master secret, and making that less."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from identity.cli.output import fact, fail, heading, out, plain_errors, settings_at_fault
from identity.crypto.keyring import Keyring
from identity.crypto.vault import Vault, VaultError
from identity.settings import Settings, load_settings
from identity.store import migrate
from identity.store.database import Database, open_database
from identity.store.sealed_rows import Mark
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
        try:
            number = _reseal(place.database, place.vault)
        except VaultError:
            fail(_TOO_EARLY)
        out.print(f"Sealed anew: {number}.")
        _tell(place)


def _reseal(database: Database[Transaction], vault: Vault) -> int:
    def again(sealed: bytes, context: str) -> bytes:
        return vault.seal(vault.open(sealed, context), context)

    total, mark = 0, Mark()
    while True:
        number, further = database.write(partial(_reseal_some, mark, vault, again))
        total += number
        if further is None:
            return total
        mark = further


def _reseal_some(
    mark: Mark, vault: Vault, again: Callable[[bytes, str], bytes], tx: Transaction
) -> tuple[int, Mark | None]:
    return tx.sealed.reseal(mark, vault.is_current, again)


def _tell(place: _Place) -> None:
    stale = place.database.read(lambda tx: tx.sealed.stale(place.vault.header))
    passwords = place.database.read(lambda tx: tx.sealed.passwords_not_under(place.keyring.pepper_id))
    codes = place.database.read(lambda tx: tx.sealed.recovery_codes_not_under(place.keyring.key_id))
    heading("What still needs an old secret")
    fact("Sealed", f"{stale}" + ("; `identity secret reseal` seals them under the new one" if stale else ""))
    fact("Passwords", f"{passwords}" + ("; each moves when its owner signs in" if passwords else ""))
    fact("Codes", f"{codes}" + ("; so many people's recovery codes, until they make new ones" if codes else ""))
    if not stale and not passwords and not codes:
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
