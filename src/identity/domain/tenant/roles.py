"""ListRoles, PutRole and DeleteRole: the roles of a tenant's own, beside the built-in ones."""

from __future__ import annotations

from datetime import datetime, timedelta

from identity.domain.account.members import administers, keep_an_administrator
from identity.domain.audit import Event, record
from identity.domain.callers import Caller, Source
from identity.domain.errors import NotFound, PermissionDenied, RoleInUse, RoleNotAllowed
from identity.domain.mfa_policy import is_factor_proven
from identity.domain.policy import Role
from identity.domain.ports import Transaction, World
from identity.domain.roles import is_within, role_of
from identity.domain.sessions import EndReason
from identity.domain.sign_in import announce, announce_older_tokens
from identity.domain.tenant.get_tenant import active_tenant
from identity.domain.tenants import Tenant

MOST_ROLES = 50


def list_roles(world: World, caller: Caller) -> list[Role]:
    """Every role of the policy and of the tenant, the highest level first. Raises NotFound without a tenant."""

    def look(tx: Transaction) -> list[Role]:
        tenant = active_tenant(tx, caller)
        return sorted([*world.policy.roles.values(), *tx.roles.of(tenant.id)], key=lambda role: (-role.level, role.key))

    return world.database.read(look)


def put_role(world: World, caller: Caller, role: Role, source: Source) -> Role:
    """Make a role or replace it as a whole; nobody gives more than they have themselves (AZ-03).

    Access tokens of sessions with this role stop working, so that the next refresh brings the new level; where the role
    asks for a second factor, sessions that have proven none end (N-12).
    Raises NotFound, PermissionDenied, RoleNotAllowed, or LastAdmin where nobody else administers the tenant.
    """
    now = world.clock()

    def put(tx: Transaction) -> Role:
        tenant = active_tenant(tx, caller)
        present = tx.roles.find(tenant.id, role.key)
        if role.key in world.policy.roles or (present is None and len(tx.roles.of(tenant.id)) >= MOST_ROLES):
            raise RoleNotAllowed(field="key")
        own = role_of(world.policy, tx.roles, tenant.id, caller.role)
        above = max(role.level, present.level if present else 0)
        if own is None or above > own.level or not is_within(role, own):
            raise PermissionDenied(field="level" if own and above > own.level else "permissions")
        written = tx.roles.put(tenant.id, role, now)
        _renew_tokens(world, tx, tenant, role, now)
        if present is not None and administers(present):
            # After the sessions, as whoever deletes an account does: so nobody waits in a circle.
            keep_an_administrator(world, tx, tenant)
        record(
            tx.audit,
            Event.ROLE_CHANGED,
            now,
            account_id=caller.account_id,
            tenant_id=tenant.id,
            source=source,
            role=role.key,
        )
        return written

    return world.database.write(put)


def delete_role(world: World, caller: Caller, key: str, source: Source) -> None:
    """Remove a role that nobody has. Raises NotFound, PermissionDenied or RoleInUse."""
    now = world.clock()

    def remove(tx: Transaction) -> None:
        tenant = active_tenant(tx, caller)
        if key in world.policy.roles:
            raise RoleInUse(field="key")
        role = tx.roles.find(tenant.id, key)
        if role is None:
            raise NotFound(field="key")
        if role.level > caller.level:
            raise PermissionDenied(field="key")
        if not tx.roles.remove_unused(tenant.id, key):
            raise RoleInUse(field="key")
        record(
            tx.audit,
            Event.ROLE_REMOVED,
            now,
            account_id=caller.account_id,
            tenant_id=tenant.id,
            source=source,
            role=key,
        )

    world.database.write(remove)


def _renew_tokens(world: World, tx: Transaction, tenant: Tenant, role: Role, now: datetime) -> None:
    # The next whole second: tokens say when they were issued in whole seconds.
    tokens_from = now.replace(microsecond=0) + timedelta(seconds=1)
    changed = tx.sessions.change_level(tenant.id, role.key, level=role.level, tokens_from=tokens_from, now=now)
    short = [session for session in changed if role.requires_mfa and not is_factor_proven(session.amr)]
    ended = [tx.sessions.revoke(session.id, now=now, reason=EndReason.MEMBERSHIP) for session in short]
    announce(world, tx, filter(None, ended), now)
    announce_older_tokens(world, tx, (session for session in changed if session not in short), tokens_from, now)
