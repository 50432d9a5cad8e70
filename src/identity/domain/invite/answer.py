"""ValidateInvite, AcceptInvite and DeclineInvite: the invited side."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from identity.domain.accounts import Account, NewAccount, PersonName
from identity.domain.audit import Event, record
from identity.domain.auth.password_reset import forget_squatter
from identity.domain.auth.proceed import Held, LoginResult, Step, finish, proceed
from identity.domain.authentication import live_session
from identity.domain.callers import Caller, Source
from identity.domain.errors import (
    AlreadyMember,
    DomainError,
    InvalidRequest,
    InviteEmailMismatch,
    InviteNotFound,
    InviteUsed,
    InviteVoid,
    MfaRequired,
    SessionRevoked,
    SignInRequired,
)
from identity.domain.ids import new_id
from identity.domain.invite.manage import may_grant
from identity.domain.invites import Invite, InviteStatus, check
from identity.domain.mails import MailKind
from identity.domain.mfa_policy import is_factor_missing
from identity.domain.notices import queue_notice
from identity.domain.password_rules import check_password, context_words
from identity.domain.policy import Role
from identity.domain.ports import Transaction, World
from identity.domain.roles import role_of
from identity.domain.sessions import Place, Session
from identity.domain.sign_in import Client, open_session
from identity.domain.tenants import Membership, NewMembership, Tenant


@dataclass(frozen=True, slots=True)
class InviteDetails:
    """What a live token invites to (Z-26)."""

    invite: Invite
    tenant: Tenant
    role: Role | None
    sign_in_required: bool


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An answer. Without a caller a new account is made, which needs a password."""

    token: str = field(repr=False)
    caller: Caller | None = None
    password: str | None = field(default=None, repr=False)
    name: PersonName = PersonName()
    locale: str | None = None
    client: Client = Client()


def validate_invite(world: World, token: str) -> InviteDetails:
    """Look at an invitation without using it up (RC-06). Raises InviteNotFound, InviteUsed or InviteExpired."""
    now = world.clock()
    digest = world.secrets.digest(token)

    def look(tx: Transaction) -> InviteDetails:
        invite = check(tx.invites.find(digest), now)
        tenant = tx.tenants.get(invite.tenant_id)
        if tenant is None:
            raise InviteNotFound(field="token")
        account = tx.accounts.find(email=invite.email)
        known = account is not None and account.email_verified_at is not None
        return InviteDetails(invite, tenant, role_of(world.policy, tx.roles, tenant.id, invite.role), known)

    return world.database.read(look)


def accept_invite(world: World, wish: Acceptance) -> LoginResult:
    """Join the tenant: as a new account for the invited address, or as the caller whose address it is.

    Having the mail proves the address, so an unproven account of it is taken over (RC-08). Raises
    InviteNotFound, InviteUsed, InviteExpired, InviteVoid, SignInRequired, InviteEmailMismatch, AlreadyMember,
    MfaRequired, SessionRevoked, what the gate refuses with, or what a password is refused for. Each keeps the
    invitation.
    """
    now = world.clock()
    digest = world.secrets.digest(wish.token)
    invite = check(world.database.read(lambda tx: tx.invites.find(digest)), now)
    password_hash = "" if wish.caller else _hash(world, wish, invite, now)

    def accept(tx: Transaction) -> Step:
        held = check(tx.invites.find(digest), now)
        # One statement decides between everybody who holds the token (F-05); a later refusal undoes it.
        if tx.invites.settle(held.id, InviteStatus.ACCEPTED, now) is None:
            raise InviteUsed(field="token")
        tenant = tx.tenants.get(held.tenant_id)
        role = role_of(world.policy, tx.roles, held.tenant_id, held.role)
        inviter = tx.accounts.get(held.invited_by_id) if held.invited_by_id else None
        if tenant is None or role is None or inviter is None or not may_grant(world, tx, tenant.id, role, inviter):
            raise InviteVoid(field="token")
        old = None
        if wish.caller is None:
            account = _newcomer(world, tx, wish, held, password_hash, now)
        else:
            account, old = _caller(tx, wish.caller, held, now)
        if any(place.id == tenant.id for place, _ in tx.tenants.memberships(account.id)):
            raise AlreadyMember()
        membership = tx.tenants.add_membership(
            NewMembership(account.id, tenant.id, role.key, now, held.department_id, held.team_ids)
        )
        tx.invites.note_account(held.id, account.id)
        record(
            tx.audit,
            Event.INVITE_ACCEPTED,
            now,
            account_id=account.id,
            tenant_id=tenant.id,
            source=wish.client.source,
            invite=str(held.id),
            role=role.key,
        )
        queue_notice(world, tx, MailKind.INVITE_ACCEPTED, inviter, now, who=account.name or held.email)
        if old is None:
            step = proceed(world, tx, account, Held(("pwd",), wish.client, tenant_id=tenant.id), now)
        else:
            step = _move(world, tx, account, tenant, membership, old, wish.client, now)
        if isinstance(step, DomainError):
            raise step
        return step

    return finish(world, world.database.write(accept), now)


def decline_invite(world: World, token: str, source: Source) -> None:
    """Turn an invitation down and tell who invited. Raises InviteNotFound, InviteUsed or InviteExpired."""
    now = world.clock()
    digest = world.secrets.digest(token)

    def decline(tx: Transaction) -> None:
        invite = check(tx.invites.find(digest), now)
        if tx.invites.settle(invite.id, InviteStatus.DECLINED, now) is None:
            raise InviteUsed(field="token")
        record(tx.audit, Event.INVITE_DECLINED, now, tenant_id=invite.tenant_id, source=source, invite=str(invite.id))
        inviter = tx.accounts.get(invite.invited_by_id) if invite.invited_by_id else None
        if inviter is not None:
            queue_notice(world, tx, MailKind.INVITE_DECLINED, inviter, now, who=invite.email)

    world.database.write(decline)


def _hash(world: World, wish: Acceptance, invite: Invite, now: datetime) -> str:
    account = world.database.read(lambda tx: tx.accounts.find(email=invite.email))
    if account is not None and account.email_verified_at is not None:
        # Whoever has made the account since may have done it with this invitation: then that is the news.
        check(world.database.read(lambda tx: tx.invites.get(invite.tenant_id, invite.id)), now)
        raise SignInRequired()
    if not wish.password:
        raise InvalidRequest("A new account needs a password.", field="password")
    check_password(world, wish.password, words=context_words(invite.email, wish.name), field="password")
    return world.passwords.hash(wish.password)


def _newcomer(
    world: World, tx: Transaction, wish: Acceptance, invite: Invite, password_hash: str, now: datetime
) -> Account:
    name = wish.name
    new = NewAccount(
        id=new_id(now),
        email=invite.email,
        phone=None,
        first_name=name.first,
        last_name=name.last,
        name=name.display,
        locale=wish.locale or invite.locale,
        role=None,
        password_hash=password_hash,
        created_at=now,
        email_verified_at=now,
    )
    if (added := tx.accounts.add(new)) is not None:
        return added
    present = tx.accounts.find(email=invite.email)
    if present is None or present.email_verified_at is not None:
        raise SignInRequired()
    tx.accounts.set_password(present.id, password_hash=password_hash, now=now)
    forget_squatter(world, tx, present, now)
    proven = tx.accounts.verify_email(present.id, email=invite.email, now=now)
    return proven or present


def _caller(tx: Transaction, caller: Caller, invite: Invite, now: datetime) -> tuple[Account, Session]:
    account = tx.accounts.hold(caller.account_id)
    session = live_session(tx, caller, now)
    if account is None:
        raise SessionRevoked()
    if account.email != invite.email:
        raise InviteEmailMismatch()
    if account.email_verified_at is None:
        # The mail reached its owner; whether that is the bearer, only signing in afresh could tell.
        raise SignInRequired()
    return account, session


def _move(
    world: World,
    tx: Transaction,
    account: Account,
    tenant: Tenant,
    membership: Membership,
    old: Session,
    client: Client,
    now: datetime,
) -> Place | DomainError:
    """The caller's session, in the tenant it has just joined."""
    if is_factor_missing(world, tx, account, [(tenant, membership)], old.amr):
        raise MfaRequired()
    return open_session(world, tx, account, tenant, membership, amr=old.amr, client=client, now=now, replaces=old)
