"""Device tokens: the id of an earlier session, under a MAC."""

from __future__ import annotations

from uuid import UUID

from identity.crypto.mac_tokens import MacTokens

_VERSION = b"\x01"


class DeviceTokens:
    """Issues and reads what a device keeps of a finished sign-in, to be known by at the next one (LG-03).

    Token: base64url(version (1 byte), session id (16), HMAC-SHA256 of those (the first 16)). Nothing of it is stored:
    whether it still counts stands in the row of the session.
    """

    def __init__(self, key: bytes, old_keys: tuple[bytes, ...] = ()) -> None:
        self._tokens = MacTokens(key, claim_bytes=17, mac_bytes=16, old_keys=old_keys)

    def issue(self, session_id: UUID) -> str:
        """Makes the token of a session, the same one each time."""
        return self._tokens.issue(_VERSION + session_id.bytes)

    def read(self, token: str) -> UUID | None:
        """Reads the session of a token of `issue`; None for everything else (P-12)."""
        claim = self._tokens.read(token)
        return UUID(bytes=claim[1:]) if claim is not None and claim[:1] == _VERSION else None
