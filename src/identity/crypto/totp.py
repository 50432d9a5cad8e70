"""Codes of authenticator apps: 6 digits, 30 seconds, SHA-1 (RFC 6238), as every app has them (OT-01)."""

from __future__ import annotations

import hmac
import re
from datetime import datetime

import pyotp

PERIOD = 30
WINDOW = 1
"""Steps before and after the present one that are taken: one clock's drift, one person's slowness."""

_DIGITS = re.compile(r"[0-9]{6}", re.ASCII)


class Totp:
    """`issuer` is what apps show beside the account."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def new_secret(self) -> str:
        """A seed of 160 bits in base32."""
        return pyotp.random_base32(32)

    def uri(self, secret: str, name: str) -> str:
        """The otpauth:// address that an app reads from the QR code."""
        return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=self._issuer)

    def step_of(self, secret: str, code: str, now: datetime) -> int | None:
        """The step whose code this is, among the present one and its neighbours; None for any other code.

        ASCII digits only: the library takes look-alikes for digits, which would give one code several
        spellings (OT-03). Whether the step was used before is for the caller to know (OT-02).
        """
        if not _DIGITS.fullmatch(code):
            return None
        totp = pyotp.TOTP(secret)
        present = int(now.timestamp()) // PERIOD
        matching = [
            step
            for step in range(present - WINDOW, present + WINDOW + 1)
            if hmac.compare_digest(totp.generate_otp(step), code)
        ]
        return max(matching, default=None)
