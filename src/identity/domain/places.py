"""Places: a session with the person, the tenant and the role it stands for."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from identity.domain.ports import Transaction, World
from identity.domain.roles import role_of
from identity.domain.sessions import Place


def described(world: World, tx: Transaction, session_id: UUID) -> Place | None:
    """A session and everything it stands for; None when there is no such session."""
    place = tx.sessions.describe(session_id)
    if place is None:
        return None
    key = place.membership.role if place.membership else place.account.role
    return replace(place, role=role_of(world.policy, tx.roles, place.session.tenant_id, key))
