"""Refresh tokens: a session id and a counter, under a MAC."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from uuid import UUID

from identity.crypto.mac_tokens import MacTokens

_VERSION = 1
_CLAIM = struct.Struct(">B16sQ")


@dataclass(frozen=True, slots=True)
class RefreshClaim:
    """What a genuine refresh token says; whether the session still wants it is for the store to decide."""

    session_id: UUID
    counter: int


class RefreshTokens:
    """Issues and reads refresh tokens without a database row per token (SE-01, design §6).

    Token: base64url(version (1 byte), session id (16), counter (8, big endian), HMAC-SHA256 of those (32)).
    Without the key, which is not in the database, nobody makes one.
    """

    def __init__(self, key: bytes, old_keys: tuple[bytes, ...] = ()) -> None:
        self._tokens = MacTokens(key, _CLAIM.size, mac_bytes=32, old_keys=old_keys)

    def issue(self, session_id: UUID, counter: int) -> str:
        """Makes the token of this counter, the same one each time: racing callers get one successor (SE-02).

        The counter is within 0 and 2^64 - 1, else `struct.error`.
        """
        return self._tokens.issue(_CLAIM.pack(_VERSION, session_id.bytes, counter))

    def read(self, token: str) -> RefreshClaim | None:
        """Reads a token of `issue`; None for everything else, in every spelling but the issued one (P-12)."""
        claim = self._tokens.read(token)
        if claim is None:
            return None
        version, session, counter = _CLAIM.unpack(claim)
        if version != _VERSION:
            return None
        return RefreshClaim(UUID(bytes=session), counter)
