"""Refresh tokens: a session id and a counter, under a MAC."""

from __future__ import annotations

import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

_VERSION = 1
_CLAIM = struct.Struct(">B16sQ")
_MAC_BYTES = 32
# 57 bytes are 76 characters with no bits to spare, hence no padding either.
_TOKEN_BYTES = _CLAIM.size + _MAC_BYTES
_TOKEN_CHARACTERS = _TOKEN_BYTES // 3 * 4


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

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, session_id: UUID, counter: int) -> str:
        """Makes the token of this counter, the same one each time: racing callers get one successor (SE-02).

        The counter is within 0 and 2^64 - 1, else `struct.error`.
        """
        claim = _CLAIM.pack(_VERSION, session_id.bytes, counter)
        return urlsafe_b64encode(claim + self._mac(claim)).decode("ascii")

    def read(self, token: str) -> RefreshClaim | None:
        """Reads a token of `issue`; None for everything else, in every spelling but the issued one (P-12)."""
        if len(token) != _TOKEN_CHARACTERS:
            return None
        try:
            raw = urlsafe_b64decode(token)
        except ValueError:
            return None
        # The decoder skips foreign characters and takes + and / too; only the spelling of `issue` counts.
        if urlsafe_b64encode(raw) != token.encode("ascii"):
            return None
        claim = raw[: _CLAIM.size]
        if not hmac.compare_digest(raw[_CLAIM.size :], self._mac(claim)):
            return None
        version, session, counter = _CLAIM.unpack(claim)
        if version != _VERSION:
            return None
        return RefreshClaim(UUID(bytes=session), counter)

    def _mac(self, claim: bytes) -> bytes:
        return hmac.digest(self._key, claim, "sha256")
