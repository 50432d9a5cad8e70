"""What a role may do: the permission matrix, asked on every call that needs a permission (AZ-01)."""

from __future__ import annotations

from identity.domain.callers import Caller
from identity.domain.errors import PermissionDenied
from identity.domain.ports import Transaction, World
from identity.domain.roles import role_of


def authorize(world: World, caller: Caller, permission: str) -> None:
    """Let a caller through whose role grants `resource:action` in the active tenant. Raises PermissionDenied."""
    if not world.database.read(lambda tx: is_granted(world, tx, caller, permission)):
        raise PermissionDenied(permission=permission)


def is_granted(world: World, tx: Transaction, caller: Caller, permission: str) -> bool:
    """Whether the caller's role grants `resource:action`; what the matrix does not name is not granted."""
    role = role_of(world.policy, tx.roles, caller.tenant_id, caller.role)
    resource, _, action = permission.partition(":")
    return role is not None and role.permissions.get(resource, {}).get(action, False)
