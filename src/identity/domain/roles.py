"""Roles of a tenant: the built-in ones of the policy, and those it made for itself."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

from identity.domain.policy import Policy, Role

OWN_NUMBERS = 1000
"""What the numbers of tenants' own roles begin above; those of built-in ones are below."""


class RoleStore(Protocol):
    """Rows of the roles that tenants made."""

    def of(self, tenant_id: UUID) -> list[Role]:
        """A tenant's own roles, by key."""

    def find(self, tenant_id: UUID, key: str) -> Role | None: ...

    def put(self, tenant_id: UUID, role: Role, now: datetime) -> Role:
        """Write a role over an older one of the same key."""

    def remove_unused(self, tenant_id: UUID, key: str) -> bool:
        """Remove a role that no member and no pending invitation has; False when one does."""


def is_within(role: Role, own: Role) -> bool:
    """Whether a role has no higher level and no permission that `own` has not (AZ-03)."""
    return role.level <= own.level and all(
        own.permissions.get(resource, {}).get(action, False)
        for resource, actions in role.permissions.items()
        for action, granted in actions.items()
        if granted
    )


def role_of(policy: Policy, roles: RoleStore, tenant_id: UUID | None, key: str | None) -> Role | None:
    """What a role key means in a tenant; a built-in role is never shadowed by one of the tenant's own."""
    if key is None:
        return None
    if (built_in := policy.roles.get(key)) is not None or tenant_id is None:
        return built_in
    return roles.find(tenant_id, key)
