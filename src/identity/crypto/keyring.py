"""The master secret, split into one key per purpose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MIN_SECRET_CHARACTERS = 32
_KEY_BYTES = 32
_KEY_ID_BYTES = 4


class Keyring:
    """Holds the purpose keys that the master secret yields, each 32 bytes (HKDF-SHA256, RFC 5869).

    One key per purpose, so that a key which leaks through one use opens nothing else. The secret
    itself is not kept. It is not stretched: it has to be random, not a password that somebody made up.
    `old` are the keyrings of other secrets, whose work is read and never done again (F-22).
    """

    __slots__ = ("bootstrap", "code", "device", "key_id", "old", "pepper", "refresh", "sealing", "throttle")

    def __init__(self, secret: str, old: Iterable[str] = ()) -> None:
        """Derives all keys at once.

        Raises `ValueError` for fewer than 32 characters, without repeating them.
        """
        if len(secret) < MIN_SECRET_CHARACTERS:
            raise ValueError(f"the master secret needs at least {MIN_SECRET_CHARACTERS} characters")
        # An environment variable may hold bytes that are no UTF-8; Python hands them over as surrogates.
        material = secret.encode("utf-8", "surrogateescape")
        self.pepper = _derive(material, "pepper", _KEY_BYTES)
        self.refresh = _derive(material, "refresh", _KEY_BYTES)
        self.device = _derive(material, "device", _KEY_BYTES)
        self.sealing = _derive(material, "sealing", _KEY_BYTES)
        self.throttle = _derive(material, "throttle", _KEY_BYTES)
        self.code = _derive(material, "code", _KEY_BYTES)
        # Shown on the console until the first run is done, so every replica must come to the same one (AZ-06).
        self.bootstrap = _derive(material, "bootstrap", _KEY_BYTES)
        self.key_id = _derive(material, "key-id", _KEY_ID_BYTES).hex()
        self.old: tuple[Keyring, ...] = tuple(Keyring(each) for each in old)

    @property
    def pepper_id(self) -> str:
        """Names the pepper in stored passwords (PW-05); public, 8 hex digits, the same as `key_id`."""
        return self.key_id

    @property
    def old_peppers(self) -> Mapping[str, bytes]:
        """The peppers of other secrets by their ids."""
        return {keyring.pepper_id: keyring.pepper for keyring in self.old}

    def __repr__(self) -> str:
        return f"Keyring(key_id={self.key_id!r})"


def _derive(material: bytes, purpose: str, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=f"identity/v1/{purpose}".encode()).derive(material)
