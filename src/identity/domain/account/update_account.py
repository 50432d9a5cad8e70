"""UpdateAccount: one's own profile, or as an administrator also role, department and teams."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from identity.domain.account.members import (
    Member,
    check_ours_alone,
    check_reach,
    find_member,
    grantable_role,
    hold_member,
    keep_an_administrator,
)
from identity.domain.audit import Event, record
from identity.domain.authorization import is_granted
from identity.domain.callers import Caller, Source
from identity.domain.errors import InvalidRequest, PermissionDenied
from identity.domain.ports import Transaction, World
from identity.domain.sessions import EndReason
from identity.domain.sign_in import end_sessions
from identity.domain.tenant.get_tenant import active_tenant

PROFILE = frozenset({"first_name", "last_name", "name", "locale", "avatar_url"})
PLACE = frozenset({"role", "department_id", "team_ids"})


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """New values for the fields that `mask` names; one that is named but None is cleared."""

    mask: frozenset[str]
    first_name: str | None = None
    last_name: str | None = None
    name: str | None = None
    locale: str | None = None
    avatar_url: str | None = None
    role: str | None = None
    department_id: str | None = None
    team_ids: tuple[str, ...] = ()


def update_account(world: World, caller: Caller, account_id: UUID, changes: AccountChanges, source: Source) -> Member:
    """Change what the mask names; a changed role ends the account's sessions (SE-04).

    Raises NotFound, PermissionDenied, RoleNotAllowed, LastAdmin or InvalidRequest.
    """
    now = world.clock()

    def change(tx: Transaction) -> Member:
        is_own = account_id == caller.account_id
        administers = is_granted(world, tx, caller, "accounts:edit")
        if not administers and (not is_own or changes.mask & PLACE):
            raise PermissionDenied(permission="accounts:edit")
        member = hold_member(world, tx, caller, account_id)
        if not is_own:
            check_reach(caller, member)
            if changes.mask & PROFILE:
                check_ours_alone(tx, caller, member)
        values = _profile(world, member, changes)
        if values:
            tx.accounts.update(account_id, values, now)
        if changes.mask & PLACE:
            _change_place(world, tx, caller, member, changes)
        fields = ",".join(sorted(changes.mask))
        record(
            tx.audit,
            Event.ACCOUNT_CHANGED,
            now,
            account_id=account_id,
            tenant_id=caller.tenant_id,
            source=source,
            by=str(caller.account_id),
            fields=fields,
        )
        return find_member(world, tx, caller, account_id)

    def _change_place(world: World, tx: Transaction, caller: Caller, member: Member, changes: AccountChanges) -> None:
        if member.membership is None:
            raise PermissionDenied(field="update_mask")
        tenant = active_tenant(tx, caller)
        key = member.membership.role
        if "role" in changes.mask:
            if not changes.role:
                raise InvalidRequest("A role cannot be cleared.", field="changes.role")
            key = grantable_role(world, tx, tenant, caller, changes.role).key
            if key != member.membership.role and member.account.id == caller.account_id:
                raise PermissionDenied(field="changes.role")
        department = changes.department_id if "department_id" in changes.mask else member.membership.department_id
        teams = changes.team_ids if "team_ids" in changes.mask else member.membership.team_ids
        tx.tenants.update_membership(
            member.account.id, tenant.id, role=key, department_id=department, team_ids=teams, now=now
        )
        if key != member.membership.role:
            keep_an_administrator(world, tx, tenant)
            end_sessions(world, tx, member.account.id, EndReason.MEMBERSHIP, now)

    return world.database.write(change)


def _profile(world: World, member: Member, changes: AccountChanges) -> dict[str, object]:
    """The new values of the account's own columns; a name that is not given follows first and last name."""
    account = member.account
    values: dict[str, object] = {key: getattr(changes, key) for key in changes.mask & PROFILE}
    if "locale" in values:
        values["locale"] = changes.locale or world.policy.locale
    if changes.mask & {"first_name", "last_name", "name"}:
        first = changes.first_name if "first_name" in changes.mask else account.first_name
        last = changes.last_name if "last_name" in changes.mask else account.last_name
        was_joined = account.name == " ".join(part for part in (account.first_name, account.last_name) if part)
        joined = " ".join(part for part in (first, last) if part)
        given = changes.name if "name" in changes.mask else (None if was_joined else account.name)
        values["name"] = given or joined
    return values
