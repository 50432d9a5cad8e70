"""Secrets that are handed out once: tokens in links, codes in mails, first passwords."""

from __future__ import annotations

import hashlib
import secrets

# Without the look-alikes I, O, l, o, 0 and 1, so that it survives paper and telephone.
_UPPER = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_LOWER = "abcdefghijkmnpqrstuvwxyz"
_DIGITS = "23456789"
_GROUPS = 4
_GROUP_LENGTH = 4


def new_token() -> str:
    """Draws a token of 256 bits: 43 characters of base64url (RC-01)."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """Digests a token for storage and look-up: SHA-256, 32 bytes (RC-01).

    Only for tokens of `new_token`. A code of six digits is guessed from its plain digest: key that one.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def new_temporary_password() -> str:
    """Draws a password somebody has to type once: `Kd7f-…`, 19 characters, 92 bits.

    It has an upper-case letter, a lower-case letter, a digit and a hyphen, so that it passes the
    composition rules of every preset.
    """
    while True:
        symbols = [secrets.choice(_UPPER + _LOWER + _DIGITS) for _ in range(_GROUPS * _GROUP_LENGTH)]
        if all(set(symbols) & set(kind) for kind in (_UPPER, _LOWER, _DIGITS)):
            groups = (symbols[start : start + _GROUP_LENGTH] for start in range(0, len(symbols), _GROUP_LENGTH))
            return "-".join("".join(group) for group in groups)


def new_recovery_codes() -> list[str]:
    """Draws ten codes to keep in a drawer: `k7tq-…`, 19 characters, 79 bits each (OT-07)."""
    return ["-".join(_group() for _ in range(_GROUPS)) for _ in range(10)]


def _group() -> str:
    return "".join(secrets.choice(_LOWER + _DIGITS) for _ in range(_GROUP_LENGTH))


def new_otp() -> str:
    """Draws a code of six decimal digits, evenly over all million of them (OT-04)."""
    return f"{secrets.randbelow(1_000_000):06d}"
