"""Names for throttle rows that tell nothing about whom they count."""

from __future__ import annotations

import hmac


class ThrottleKeys:
    """Turns addresses into row keys, so that a database dump lists neither people nor sources."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, kind: str, value: str) -> bytes:
        """Computes the 32-byte key of `value` among buckets of this `kind` (HMAC-SHA256).

        The length of the kind goes in front, so that no kind and value run together into another pair.
        """
        return hmac.digest(self._key, f"{len(kind)}:{kind}{value}".encode("utf-8", "surrogatepass"), "sha256")
