"""Second factors: what proves a person beside the password (OT-01 to OT-08)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

RECOVERY_CODES = 10
"""How many recovery codes an account gets at a time (OT-07)."""


class FactorType(StrEnum):
    """`RECOVERY_CODE` is never enrolled by itself: it comes with the first other factor."""

    TOTP = "totp"
    EMAIL_OTP = "email_otp"
    RECOVERY_CODE = "recovery_code"


AMR = {FactorType.TOTP: "otp", FactorType.EMAIL_OTP: "email", FactorType.RECOVERY_CODE: "recovery"}
"""What a session says it was proven with (RFC 8176 where that has a word); a mailed code stays told apart (OT-06)."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor that is switched on. `sealed_secret` is a TOTP seed at rest, `last_step` the newest one used."""

    id: UUID
    account_id: UUID
    type: FactorType
    created_at: datetime
    label: str | None = None
    sealed_secret: bytes | None = field(default=None, repr=False)
    last_step: int | None = None
    last_used_at: datetime | None = None


class FactorStore(Protocol):
    """Rows of factors and recovery codes."""

    def of(self, account_id: UUID) -> list[Factor]:
        """The factors of an account, oldest first."""

    def put(self, factor: Factor) -> Factor:
        """Switch a factor on; it replaces the account's older one of the same type."""

    def remove(self, factor: Factor) -> None: ...

    def use_step(self, factor_id: UUID, *, step: int, now: datetime) -> bool:
        """Use a TOTP step up, in one conditional statement; False unless it is newer than the last one (OT-02)."""

    def touch(self, factor_id: UUID, now: datetime) -> None:
        """Note that a factor proved the account."""

    def set_recovery_codes(self, account_id: UUID, digests: list[bytes], now: datetime) -> None:
        """Replace every recovery code of an account; an empty list leaves none."""

    def use_recovery_code(self, account_id: UUID, digest: bytes, now: datetime) -> bool:
        """Use a recovery code up, in one conditional statement; False unless it was there (OT-07)."""

    def recovery_codes_left(self, account_id: UUID) -> int: ...
