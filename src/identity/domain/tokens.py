"""Tokens as values: what an access token says, apart from how it is signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """Who calls, in which session and tenant, and how they proved it.

    All moments are in UTC; on the wire they are whole seconds, rounded down. `scope` is only there in
    tokens that open less than everything, such as `password_change`. `extra` holds the claims that a
    product adds; it is read-only.
    """

    account_id: UUID
    session_id: UUID
    tenant_id: UUID | None
    role: str | None
    level: int | None
    amr: tuple[str, ...]
    authenticated_at: datetime
    issued_at: datetime
    expires_at: datetime
    jti: str
    scope: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict)
