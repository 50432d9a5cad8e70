"""How passwords are stored and checked."""

from __future__ import annotations

import base64
import hmac
import re
import time
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

import bcrypt

_STORED = re.compile(r"v1\$(?P<pepper_id>[^$]+)\$(?P<bcrypt>\$2b\$(?P<cost>0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53})")


class PasswordHasher:
    """Hashes and verifies with bcrypt over a keyed pre-hash (PW-05).

    Stored: `v1$<pepper id>$<bcrypt>`, over base64(HMAC-SHA-384(pepper, NFC(password))). The pre-hash is
    always 64 characters, so that bcrypt's limit of 72 bytes never cuts or refuses a password, and the
    database without the pepper verifies nothing. What was made under an old pepper verifies, and is hashed anew at the
    next sign-in (F-22). Every call blocks for some 2^cost rounds: run it in
    the hashing lane.
    """

    def __init__(
        self, pepper: bytes, pepper_id: str, cost: int, old_peppers: Mapping[str, bytes] = MappingProxyType({})
    ) -> None:
        """Takes the cost as log2 of the rounds, 4 to 31; the settings see to the floor of 10."""
        if not pepper or not re.fullmatch(r"[^$]+", pepper_id):
            raise ValueError("a pepper and its id are needed, and the id holds no $")
        self._peppers = {**old_peppers, pepper_id: pepper}
        self._pepper_id = pepper_id
        self._cost = cost
        self._dummy_salt = bcrypt.gensalt(cost)

    def hash(self, password: str) -> str:
        """Hashes with a fresh salt; the result is ASCII, some 75 characters."""
        digest = bcrypt.hashpw(self._prehash(password, self._pepper_id), bcrypt.gensalt(self._cost))
        return f"v1${self._pepper_id}${digest.decode('ascii')}"

    def verify(self, password: str, stored: str | None) -> bool:
        """Tells whether `stored` was made from `password`, at the same price for every answer.

        No account (None), an unknown scheme or another pepper hash a dummy at the current cost and are
        False, never an exception (LG-01). An older, cheaper hash is topped up to the current cost, or
        its speed would tell that the account exists (security.md M14).
        """
        match = _STORED.fullmatch(stored or "")
        if match is None or match["pepper_id"] not in self._peppers:
            return self._refuse(self._prehash(password, self._pepper_id))
        prehash = self._prehash(password, match["pepper_id"])
        try:
            correct = bcrypt.checkpw(prehash, match["bcrypt"].encode("ascii"))
        except ValueError:  # the salt has the right characters, yet is none
            return self._refuse(prehash)
        # 2^c + (2^c + 2^(c+1) + ... + 2^(cost-1)) = 2^cost rounds
        for cost in range(int(match["cost"]), self._cost):
            bcrypt.hashpw(prehash, bcrypt.gensalt(cost))
        return correct

    def needs_rehash(self, stored: str) -> bool:
        """Tells whether `stored` has another scheme, pepper or cost than `hash` would give now.

        A higher cost counts too: accounts that answer slower than the dummy would give themselves away.
        """
        match = _STORED.fullmatch(stored)
        return match is None or match["pepper_id"] != self._pepper_id or int(match["cost"]) != self._cost

    def __repr__(self) -> str:
        return f"PasswordHasher(pepper_id={self._pepper_id!r}, cost={self._cost})"

    def _prehash(self, password: str, pepper_id: str) -> bytes:
        text = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
        return base64.b64encode(hmac.digest(self._peppers[pepper_id], text, "sha384"))

    def _refuse(self, prehash: bytes) -> bool:
        bcrypt.hashpw(prehash, self._dummy_salt)
        return False


def measure(cost: int) -> float:
    """Measures one hash at `cost` on this machine, in seconds: the best of three, as load only adds."""
    salt = bcrypt.gensalt(cost)
    return min(_seconds_of_one_hash(salt) for _ in range(3))


def _seconds_of_one_hash(salt: bytes) -> float:
    started = time.perf_counter()
    bcrypt.hashpw(b"0" * 64, salt)
    return time.perf_counter() - started
