"""CreateAccount: an administrator brings somebody in, with a password that only the mail knows (Z-20, RC-09)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from identity.domain.account.members import Member, grantable_role
from identity.domain.accounts import NewAccount, PersonName
from identity.domain.audit import Event, record
from identity.domain.callers import Caller, Source
from identity.domain.errors import EmailNotVerified, EmailTaken, PhoneTaken, RateLimited, SessionRevoked
from identity.domain.ids import new_id
from identity.domain.mails import MailKind
from identity.domain.notices import charge_address, compose, queue
from identity.domain.policy import Role
from identity.domain.ports import Transaction, World
from identity.domain.tenant.get_tenant import active_tenant
from identity.domain.tenants import NewMembership, Tenant
from identity.domain.throttles import ADDRESS_MAILS, Window

TENANT_ACCOUNTS = Window("tenant_accounts", limit=500, period=timedelta(hours=24))
"""How many accounts a tenant may make in a day."""


@dataclass(frozen=True, slots=True)
class Newcomer:
    """The person to let in; without a role the policy's default."""

    email: str
    phone: str | None = None
    name: PersonName = PersonName()
    role: str | None = None
    department_id: str | None = None
    team_ids: tuple[str, ...] = ()
    locale: str | None = None


def create_account(world: World, caller: Caller, wish: Newcomer, source: Source) -> Member:
    """Make an account in the active tenant and mail it a temporary password, which it must change.

    Raises NotFound without a tenant, RoleNotAllowed, PermissionDenied, EmailNotVerified while the caller's own address
    is unproven, EmailTaken, PhoneTaken or RateLimited.
    """
    # Charged by itself, so that it costs as much to ask who is here already (Z-24).
    world.database.write(lambda tx: _charge(world, tx, caller, wish))
    password = world.secrets.new_temporary_password()
    password_hash = world.passwords.hash(password)
    now = world.clock()
    lifetime = world.policy.lifetimes.temporary_password

    def create(tx: Transaction) -> Member:
        tenant = active_tenant(tx, caller)
        role = _wanted_role(world, tx, tenant, caller, wish)
        account = tx.accounts.add(
            NewAccount(
                id=new_id(now),
                email=wish.email,
                phone=wish.phone,
                first_name=wish.name.first,
                last_name=wish.name.last,
                name=wish.name.display,
                locale=wish.locale or world.policy.locale,
                role=None,
                password_hash=password_hash,
                created_at=now,
                require_password_change=True,
                password_expires_at=now + lifetime,
            )
        )
        if account is None:
            raise EmailTaken(field="email") if tx.accounts.find(email=wish.email) else PhoneTaken(field="phone")
        if not charge_address(world, tx, MailKind.TEMPORARY_PASSWORD, wish.email, now):
            raise RateLimited(retry_after=ADDRESS_MAILS.period.total_seconds(), field="email")
        membership = tx.tenants.add_membership(
            NewMembership(account.id, tenant.id, role.key, now, wish.department_id, wish.team_ids)
        )
        mail = compose(
            world,
            MailKind.TEMPORARY_PASSWORD,
            wish.email,
            account.locale,
            now,
            lifetime,
            password=password,
            name=account.name,
            tenant_name=tenant.name,
            expires_minutes=str(int(lifetime.total_seconds() // 60)),
        )
        queue(world, tx, mail)
        record(
            tx.audit,
            Event.ACCOUNT_CREATED,
            now,
            account_id=account.id,
            tenant_id=tenant.id,
            source=source,
            by=str(caller.account_id),
            role=role.key,
        )
        return Member(account, membership, role)

    return world.database.write(create)


def _charge(world: World, tx: Transaction, caller: Caller, wish: Newcomer) -> None:
    tenant = active_tenant(tx, caller)
    _wanted_role(world, tx, tenant, caller, wish)
    maker = tx.accounts.get(caller.account_id)
    if maker is None:
        raise SessionRevoked()
    if maker.email is not None and maker.email_verified_at is None:
        raise EmailNotVerified()
    budget = world.throttle_keys.digest("accounts", str(tenant.id))
    if not tx.throttles.charge_window(budget, TENANT_ACCOUNTS, world.clock()):
        raise RateLimited(retry_after=TENANT_ACCOUNTS.period.total_seconds())


def _wanted_role(world: World, tx: Transaction, tenant: Tenant, caller: Caller, wish: Newcomer) -> Role:
    return grantable_role(world, tx, tenant, caller, wish.role or world.policy.registration.default_role)
