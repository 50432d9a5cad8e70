"""Register: somebody new, with a tenant of their own where the role asks for one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from identity.domain.accounts import Account, AccountStatus, NewAccount, PersonName
from identity.domain.audit import Event, record
from identity.domain.errors import (
    AlreadyRegistered,
    DomainError,
    EmailTaken,
    InvalidRequest,
    PhoneTaken,
    RateLimited,
    TenantNameTaken,
)
from identity.domain.factors import Factor, FactorType
from identity.domain.ids import new_id
from identity.domain.mails import MailKind
from identity.domain.notices import charge_address, compose_verification, queue, queue_notice
from identity.domain.password_rules import check_password, context_words
from identity.domain.policy import Role
from identity.domain.ports import Transaction, World
from identity.domain.sessions import Place
from identity.domain.sign_in import Client, SignedIn, accept, issue_tokens, open_session
from identity.domain.tenants import Membership, NewMembership, NewTenant, Tenant, add_tenant, slugify
from identity.domain.throttles import SOURCE_REGISTRATIONS


@dataclass(frozen=True, slots=True)
class Registration:
    """Somebody's wish to have an account; `email` and `phone` are canonical and at least one is there."""

    email: str | None
    phone: str | None
    password: str = field(repr=False)
    name: PersonName = PersonName()
    role: str | None = None
    tenant_name: str | None = None
    locale: str | None = None
    client: Client = Client()


@dataclass(frozen=True, slots=True)
class Registered:
    """What came of it. Where the policy is uniform, account and tenant may be made up (Z-24)."""

    account: Account
    tenant: Tenant | None
    signed_in: SignedIn | None
    email_verification_sent: bool


@dataclass(frozen=True, slots=True)
class _Written:
    account: Account
    tenant: Tenant | None
    membership: Membership | None
    opened: Place | DomainError | None


def register(world: World, wish: Registration) -> Registered:
    """Create an account, its tenant and the mail that proves its address: all of it or nothing (F-03).

    Raises RoleNotAllowed, RateLimited, what a password is refused for, and, where the policy tells,
    EmailTaken, PhoneTaken, TenantNameTaken or AlreadyRegistered.
    """
    role = world.policy.registration_role(wish.role)
    if role.creates_tenant and not wish.tenant_name:
        raise InvalidRequest("This role needs the name of a tenant to create.", field="tenant_name")
    check_password(
        world,
        wish.password,
        words=context_words(wish.email, wish.name, wish.tenant_name),
        field="password",
        second_factor=role.requires_mfa,
    )
    now = world.clock()
    _charge_source(world, wish, now)
    password_hash = world.passwords.hash(wish.password)
    written = world.database.write(lambda tx: _write(world, tx, wish, role, password_hash, now))
    if world.policy.registration.uniform:
        written = _without_numbers(written)
    signed_in = None
    if written.opened is not None:
        signed_in = issue_tokens(world, accept(written.opened), now)
    return Registered(
        account=written.account,
        tenant=written.tenant,
        signed_in=signed_in,
        email_verification_sent=wish.email is not None,
    )


def _charge_source(world: World, wish: Registration, now: datetime) -> None:
    network = wish.client.source.network
    if network is None:
        return
    key = world.throttle_keys.digest("register", network)
    if not world.database.write(lambda tx: tx.throttles.charge_window(key, SOURCE_REGISTRATIONS, now)):
        raise RateLimited(retry_after=SOURCE_REGISTRATIONS.period.total_seconds())


def _write(
    world: World, tx: Transaction, wish: Registration, role: Role, password_hash: str, now: datetime
) -> _Written:
    new = NewAccount(
        id=new_id(now),
        email=wish.email,
        phone=wish.phone,
        first_name=wish.name.first,
        last_name=wish.name.last,
        name=wish.name.display,
        locale=wish.locale or world.policy.locale,
        role=role.key,
        password_hash=password_hash,
        created_at=now,
    )
    account = tx.accounts.add(new)
    if account is None and world.policy.registration.uniform and new.email and new.phone:
        # Where only the number is somebody's, the address gets its mail all the same, and the account no number.
        account = tx.accounts.add(replace(new, phone=None))
    if account is None:
        return _taken(world, tx, wish, role, new)
    membership = None
    tenant = _create_tenant(world, tx, wish, role, now)
    if tenant is not None:
        membership = tx.tenants.add_membership(NewMembership(account.id, tenant.id, role.key, now))
    if _begins_with_codes(role, new):
        # On from the first day: codes by mail, until an app takes over (Z-14).
        tx.factors.put(Factor(id=new_id(now), account_id=account.id, type=FactorType.EMAIL_OTP, created_at=now))
        account = replace(account, two_factor_enabled=True)
    if account.email is not None:
        charge_address(world, tx, MailKind.REQUEST_VERIFICATION, account.email, now)
        queue(world, tx, compose_verification(world, tx, account, account.email, now))
    record(
        tx.audit,
        Event.ACCOUNT_REGISTERED,
        now,
        account_id=account.id,
        tenant_id=tenant.id if tenant else None,
        source=wish.client.source,
        role=role.key,
    )
    opened = None
    # Whoever must have a second factor signs in with it, from the first time on (N-12).
    if world.policy.registration.signs_in and not role.requires_mfa:
        opened = open_session(world, tx, account, tenant, membership, amr=("pwd",), client=wish.client, now=now)
    return _Written(replace(account, phone=new.phone), tenant, membership, opened)


def _taken(world: World, tx: Transaction, wish: Registration, role: Role, new: NewAccount) -> _Written:
    """Refuse a taken address, or answer as if it were free and tell its owner instead (Z-24)."""
    owner = tx.accounts.find(email=wish.email) if wish.email else None
    if not world.policy.registration.uniform:
        if not world.policy.registration.name_the_conflict:
            raise AlreadyRegistered()
        raise EmailTaken(field="email") if owner else PhoneTaken(field="phone")
    now = new.created_at
    if owner and owner.email and charge_address(world, tx, MailKind.REQUEST_VERIFICATION, owner.email, now):
        queue_notice(world, tx, MailKind.ACCOUNT_EXISTS, owner, now)
    record(
        tx.audit, Event.REGISTRATION_REPEATED, now, account_id=owner.id if owner else None, source=wish.client.source
    )
    # It stays, and nobody ever enters it: whoever asks for its name next must not find it free again.
    tenant = _create_tenant(world, tx, wish, role, now, suspended_at=now)
    account = Account(
        id=new.id,
        number=0,
        email=new.email,
        phone=new.phone,
        first_name=new.first_name,
        last_name=new.last_name,
        name=new.name,
        locale=new.locale,
        avatar_url=None,
        status=AccountStatus.ACTIVE,
        role=new.role,
        created_at=now,
        updated_at=now,
        two_factor_enabled=_begins_with_codes(role, new),
    )
    return _Written(account, tenant, None, None)


def _begins_with_codes(role: Role, new: NewAccount) -> bool:
    return role.requires_mfa and new.email is not None


def _create_tenant(
    world: World,
    tx: Transaction,
    wish: Registration,
    role: Role,
    now: datetime,
    *,
    suspended_at: datetime | None = None,
) -> Tenant | None:
    if not role.creates_tenant or not wish.tenant_name:
        return None
    name, rules = wish.tenant_name, world.policy.registration
    new = NewTenant(
        id=new_id(now),
        kind=role.creates_tenant,
        slug=slugify(name),
        name=name,
        created_at=now,
        suspended_at=suspended_at,
    )
    try:
        return add_tenant(tx.tenants, new, unique_name=rules.unique_tenant_names)
    except TenantNameTaken as taken:
        raise taken if rules.name_the_conflict else AlreadyRegistered() from None


def _without_numbers(written: _Written) -> _Written:
    """The same, without what only rows have: somebody made up has no number, so nobody is told theirs (Z-24)."""
    tenant = written.tenant
    return replace(
        written, account=replace(written.account, number=0), tenant=replace(tenant, number=0) if tenant else None
    )
