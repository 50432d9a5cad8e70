"""What is stored of the codes that people type: keyed digests, since codes are so short that plain ones give them away.

The digest says under which secret it was made, so that what still needs an old one can be counted (F-22).
"""

from __future__ import annotations

import hmac

from identity.crypto.keyring import Keyring

_BYTES = 32


class CodeDigests:
    """Makes digests under the secret of the keyring, and finds those that were made under an old one."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyrings = (keyring, *keyring.old)

    def digest(self, kind: str, value: str) -> bytes:
        """Computes 32 bytes: the id of the key (4), and what fits of the HMAC-SHA256 of `value` among its `kind`."""
        return _digest(self._keyrings[0], kind, value)

    def candidates(self, kind: str, value: str) -> list[bytes]:
        """Computes what may be stored for `value`: the digest under the present secret, then those under old ones."""
        return [_digest(keyring, kind, value) for keyring in self._keyrings]


def _digest(keyring: Keyring, kind: str, value: str) -> bytes:
    mac = hmac.digest(keyring.code, f"{len(kind)}:{kind}{value}".encode("utf-8", "surrogatepass"), "sha256")
    return (bytes.fromhex(keyring.key_id) + mac)[:_BYTES]
