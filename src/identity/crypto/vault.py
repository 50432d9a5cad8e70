"""Encryption of what the database keeps: factor seeds, signing keys, mails that wait."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from identity.crypto.keyring import Keyring
from identity.domain.ports import VaultError as VaultError

_VERSION = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEADER_BYTES = len(_VERSION) + _KEY_ID_BYTES


class Vault:
    """Seals bytes for one place with AES-256-GCM (CR-01, OT-01).

    Sealed: version (1 byte), key id (4), nonce (12), ciphertext with tag (16 longer than the plaintext).
    Nonces are random, which keeps one master secret safe for some 2^32 seals (NIST SP 800-38D §8.3). What was sealed
    under an old secret of the keyring can be opened. `header` is what seals under the present one begin with.
    """

    def __init__(self, keyring: Keyring) -> None:
        self.header = _header(keyring)
        self._ciphers = {_header(each): AESGCM(each.sealing) for each in (*keyring.old, keyring)}

    def seal(self, plaintext: bytes, context: str) -> bytes:
        """Encrypts `plaintext` for `context`: table, column and row, so that no value can be moved to another."""
        nonce = os.urandom(_NONCE_BYTES)
        return self.header + nonce + self._ciphers[self.header].encrypt(nonce, plaintext, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypts what `seal` made for the same `context`.

        Raises `VaultError` for anything else; its text holds no secret.
        """
        if len(sealed) < _HEADER_BYTES + _NONCE_BYTES + _TAG_BYTES or sealed[:1] != _VERSION:
            raise VaultError("not a sealed value of a version known here")
        cipher = self._ciphers.get(sealed[:_HEADER_BYTES])
        if cipher is None:
            raise VaultError("sealed under another master secret")
        nonce = sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
        try:
            return cipher.decrypt(nonce, sealed[_HEADER_BYTES + _NONCE_BYTES :], context.encode())
        except InvalidTag:
            raise VaultError("altered, or sealed for another context") from None

    def is_current(self, sealed: bytes) -> bool:
        """Tells whether `sealed` needs no old secret."""
        return sealed[:_HEADER_BYTES] == self.header


def _header(keyring: Keyring) -> bytes:
    return _VERSION + bytes.fromhex(keyring.key_id)
