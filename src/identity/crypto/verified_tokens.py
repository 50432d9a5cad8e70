"""The memory of access tokens that were verified a moment ago."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

from identity.domain.tokens import AccessClaims


class Verified(NamedTuple):
    """The claims of a genuine token, good at moments within [valid_from, valid_until), in Unix seconds."""

    claims: AccessClaims
    valid_from: float
    valid_until: float


class VerifiedTokens:
    """Remembers the tokens used last, by digest, for one key set at a time; safe from several threads.

    A signature check costs some 100 us, a look-up a few. Tokens themselves are not kept.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = Lock()
        self._keys: object = None
        self._entries: OrderedDict[bytes, Verified] = OrderedDict()

    def get(self, keys: object, digest: bytes, moment: float) -> AccessClaims | None:
        """Finds a token that was verified with this very key set and is valid at `moment`, else None."""
        with self._lock:
            if keys is not self._keys:
                return None
            verified = self._entries.get(digest)
            if verified is None or not verified.valid_from <= moment < verified.valid_until:
                return None
            self._entries.move_to_end(digest)
            return verified.claims

    def put(self, keys: object, digest: bytes, verified: Verified) -> None:
        """Remembers a token; those of another key set and the one unused for longest are forgotten."""
        with self._lock:
            if keys is not self._keys:
                self._entries.clear()
                self._keys = keys
            self._entries[digest] = verified
            self._entries.move_to_end(digest)
            if len(self._entries) > self._size:
                self._entries.popitem(last=False)
