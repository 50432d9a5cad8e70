"""CreateInvite, ListInvites, GetInvite, ResendInvite and RevokeInvite: the inviting side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from identity.domain.account.members import grantable_role
from identity.domain.accounts import Account, AccountStatus
from identity.domain.audit import Event, record
from identity.domain.callers import Caller, Source
from identity.domain.errors import (
    AlreadyMember,
    EmailNotVerified,
    InviteNotFound,
    InviteUsed,
    RateLimited,
    SessionRevoked,
)
from identity.domain.ids import new_id
from identity.domain.invites import LIFETIME, Invite, InviteStatus
from identity.domain.mails import MailKind
from identity.domain.notices import compose, queue
from identity.domain.paging import Page, PageRequest, cut, read_position
from identity.domain.policy import Role
from identity.domain.ports import Transaction, World
from identity.domain.roles import is_within, role_of
from identity.domain.tenant.get_tenant import active_tenant
from identity.domain.tenants import Tenant
from identity.domain.throttles import ADDRESS_MAILS, Window

TENANT_INVITES = Window("tenant_invites", limit=200, period=timedelta(hours=24))
"""How many invitations a tenant may mail in a day."""


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation with the role it grants, as it stands at a moment."""

    invite: Invite
    role: Role | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """Somebody to invite."""

    email: str
    role: str
    department_id: str | None = None
    team_ids: tuple[str, ...] = ()
    locale: str | None = None


def create_invite(world: World, caller: Caller, wish: Invitation, source: Source) -> Invited:
    """Invite an address into the active tenant; a pending invitation to it is superseded.

    Raises RoleNotAllowed, PermissionDenied for a role that is more than the caller's own, EmailNotVerified while
    the caller's own address is unproven, AlreadyMember or RateLimited.
    """
    now = world.clock()

    def create(tx: Transaction) -> Invited:
        tenant = active_tenant(tx, caller)
        inviter = tx.accounts.get(caller.account_id)
        if inviter is None:
            raise SessionRevoked()
        role = grantable_role(world, tx, tenant, caller, wish.role)
        if inviter.email is not None and inviter.email_verified_at is None:
            raise EmailNotVerified()
        member = tx.accounts.find(email=wish.email)
        if member is not None and any(place.id == tenant.id for place, _ in tx.tenants.memberships(member.id)):
            raise AlreadyMember(field="email")
        _charge(world, tx, tenant, wish.email, now)
        token = world.secrets.new_token()
        invite = Invite(
            id=new_id(now),
            tenant_id=tenant.id,
            email=wish.email,
            role=role.key,
            locale=wish.locale or inviter.locale,
            invited_by_id=inviter.id,
            invited_by=_name_of(inviter),
            digest=world.secrets.digest(token),
            status=InviteStatus.PENDING,
            created_at=now,
            sent_at=now,
            expires_at=now + LIFETIME,
            department_id=wish.department_id,
            team_ids=wish.team_ids,
        )
        tx.invites.add(invite)
        _mail(world, tx, tenant, invite, role, token, now)
        _record(tx, Event.INVITE_CREATED, invite, caller, source, now)
        return Invited(invite, role, now)

    return world.database.write(create)


def get_invite(world: World, caller: Caller, invite_id: UUID) -> Invited:
    """One of the tenant's invitations. Raises InviteNotFound, for a foreign one too (AZ-02)."""
    now = world.clock()

    def look(tx: Transaction) -> Invited:
        invite = _own(tx, caller, invite_id)
        return Invited(invite, role_of(world.policy, tx.roles, invite.tenant_id, invite.role), now)

    return world.database.read(look)


def list_invites(
    world: World, caller: Caller, *, status: InviteStatus | None, email: str | None, page: PageRequest
) -> Page[Invited]:
    """The tenant's invitations, newest first. Raises InvalidRequest for a page token of another list."""
    now = world.clock()
    name = f"invites:{caller.tenant_id}:{status}:{email}"
    position = read_position(world, page, name)
    after = (datetime.fromisoformat(position[0]), UUID(position[1])) if position else None

    def look(tx: Transaction) -> list[Invited]:
        tenant = active_tenant(tx, caller)
        rows = tx.invites.list(tenant.id, status=status, email=email, now=now, after=after, limit=page.limit + 1)
        return [Invited(row, role_of(world.policy, tx.roles, tenant.id, row.role), now) for row in rows]

    rows = world.database.read(look)
    return cut(world, page, name, rows, lambda row: [row.invite.created_at.isoformat(), str(row.invite.id)])


def resend_invite(world: World, caller: Caller, invite_id: UUID, locale: str | None, source: Source) -> Invited:
    """Mail an invitation again with a new token and a new end; the older token dies.

    Raises InviteNotFound, InviteUsed, PermissionDenied or RateLimited.
    """
    now = world.clock()

    def resend(tx: Transaction) -> Invited:
        invite = _own(tx, caller, invite_id)
        tenant = active_tenant(tx, caller)
        role = grantable_role(world, tx, tenant, caller, invite.role)
        token = world.secrets.new_token()
        # Whoever sends it again answers for it: the first inviter may be gone by now.
        inviter = tx.accounts.get(caller.account_id)
        if inviter is None:
            raise SessionRevoked()
        if invite.status is not InviteStatus.PENDING:
            raise InviteUsed(field="id")
        _charge(world, tx, tenant, invite.email, now)
        renewed = tx.invites.renew(
            invite.id,
            digest=world.secrets.digest(token),
            now=now,
            expires_at=now + LIFETIME,
            invited_by_id=inviter.id,
            invited_by=_name_of(inviter),
        )
        if renewed is None:
            raise InviteUsed(field="id")
        _mail(world, tx, tenant, replace(renewed, locale=locale or renewed.locale), role, token, now)
        _record(tx, Event.INVITE_RESENT, renewed, caller, source, now)
        return Invited(renewed, role, now)

    return world.database.write(resend)


def revoke_invite(world: World, caller: Caller, invite_id: UUID, source: Source) -> Invited:
    """Take an invitation back; repeating it changes nothing. Raises InviteNotFound or InviteUsed."""
    now = world.clock()

    def revoke(tx: Transaction) -> Invited:
        invite = _own(tx, caller, invite_id)
        ended = tx.invites.settle(invite.id, InviteStatus.REVOKED, now)
        if ended is not None:
            _record(tx, Event.INVITE_REVOKED, ended, caller, source, now)
        elif invite.status is not InviteStatus.REVOKED:
            raise InviteUsed(field="id")
        return Invited(ended or invite, role_of(world.policy, tx.roles, invite.tenant_id, invite.role), now)

    return world.database.write(revoke)


def may_grant(world: World, tx: Transaction, tenant_id: UUID, role: Role, inviter: Account) -> bool:
    """Whether somebody may still give a role: an active member who may invite and has as much (RC-07)."""
    if inviter.status is not AccountStatus.ACTIVE:
        return False
    for tenant, membership in tx.tenants.memberships(inviter.id):
        if tenant.id == tenant_id:
            own = role_of(world.policy, tx.roles, tenant.id, membership.role)
            return own is not None and is_within(role, own) and own.permissions.get("invites", {}).get("create", False)
    return False


def _name_of(inviter: Account) -> str:
    return inviter.name or inviter.email or ""


def _own(tx: Transaction, caller: Caller, invite_id: UUID) -> Invite:
    invite = tx.invites.get(caller.tenant_id, invite_id) if caller.tenant_id else None
    if invite is None:
        raise InviteNotFound(field="id")
    return invite


def _charge(world: World, tx: Transaction, tenant: Tenant, email: str, now: datetime) -> None:
    # Before an invitation is written: of two to one address at once, the second waits here, and is told.
    day = world.throttle_keys.digest("invites", str(tenant.id))
    minute = world.throttle_keys.digest("mail", email)
    if not tx.throttles.charge_window(day, TENANT_INVITES, now):
        raise RateLimited(retry_after=TENANT_INVITES.period.total_seconds())
    if not tx.throttles.charge_window(minute, ADDRESS_MAILS, now):
        raise RateLimited(retry_after=ADDRESS_MAILS.period.total_seconds(), field="email")


def _mail(world: World, tx: Transaction, tenant: Tenant, invite: Invite, role: Role, token: str, now: datetime) -> None:
    mail = compose(
        world,
        MailKind.INVITE,
        invite.email,
        invite.locale,
        now,
        LIFETIME,
        token=token,
        name="",
        tenant_name=tenant.name,
        invited_by=invite.invited_by,
        role_name=role.name,
        expires_minutes=str(int(LIFETIME.total_seconds() // 60)),
    )
    queue(world, tx, mail)


def _record(tx: Transaction, event: Event, invite: Invite, caller: Caller, source: Source, now: datetime) -> None:
    record(
        tx.audit,
        event,
        now,
        account_id=caller.account_id,
        tenant_id=invite.tenant_id,
        session_id=caller.session_id,
        source=source,
        invite=str(invite.id),
        role=invite.role,
    )
