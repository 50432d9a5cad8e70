"""Who is calling, and from where."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Source:
    """Where a call comes from, as far as a trusted hop vouches for it.

    `address` is a canonical IP address, or None for a local peer that forwarded no client address:
    budgets per source do not apply to those (LG-04). `user_agent` is a label, never a proof.
    """

    address: str | None = None
    user_agent: str = ""

    @property
    def network(self) -> str | None:
        """The unit of throttling: the IPv4 address itself, or the /64 of an IPv6 address (LG-04)."""
        if self.address is None or ":" not in self.address:
            return self.address
        return str(ipaddress.IPv6Network((self.address, 64), strict=False))


@dataclass(frozen=True, slots=True)
class Caller:
    """The proven holder of a live access token.

    `scope` is None for a full session and names the only thing a restricted one may do
    (`password_change`: change the password, read itself, sign out).
    """

    account_id: UUID
    session_id: UUID
    tenant_id: UUID | None
    role: str | None
    level: int
    amr: tuple[str, ...]
    authenticated_at: datetime
    scope: str | None = None
