"""Claims under a MAC, spelled as text in exactly one way."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MacTokens:
    """Tokens of one kind: base64url of a claim of fixed length and of its HMAC-SHA256, cut to `mac_bytes`.

    Both together are a multiple of 3 bytes, so that the text has no bits to spare and no padding (P-12).
    Tokens under an old key can be read, and are never issued.
    """

    key: bytes = field(repr=False)
    claim_bytes: int
    mac_bytes: int
    old_keys: tuple[bytes, ...] = field(default=(), repr=False)
    _keys: tuple[hmac.HMAC, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        keys = tuple(hmac.new(key, digestmod="sha256") for key in (self.key, *self.old_keys))
        object.__setattr__(self, "_keys", keys)

    def issue(self, claim: bytes) -> str:
        """Spells a claim; the same one each time."""
        return urlsafe_b64encode(claim + self._mac(claim, self._keys[0])).decode("ascii")

    def read(self, token: str) -> bytes | None:
        """Reads a token of `issue`; None for everything else, in every spelling but the issued one."""
        if len(token) != (self.claim_bytes + self.mac_bytes) // 3 * 4:
            return None
        try:
            raw = urlsafe_b64decode(token)
        except ValueError:
            return None
        # The decoder skips foreign characters and takes + and / too; only the spelling of `issue` counts.
        if urlsafe_b64encode(raw) != token.encode("ascii"):
            return None
        claim = raw[: self.claim_bytes]
        mac = raw[self.claim_bytes :]
        genuine = any(hmac.compare_digest(mac, self._mac(claim, key)) for key in self._keys)
        return claim if genuine else None

    def _mac(self, claim: bytes, keyed: hmac.HMAC) -> bytes:
        # A copy of a keyed state; `hmac.digest` lets go of the interpreter each time, which then has to come back.
        state = keyed.copy()
        state.update(claim)
        return state.digest()[: self.mac_bytes]
