"""Mails that the domain queues, in the transaction that causes them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from identity.domain.accounts import Account, AccountStatus
from identity.domain.audit import Event, record
from identity.domain.callers import Source
from identity.domain.ids import new_id
from identity.domain.mails import MailKind, OutboxMail
from identity.domain.one_time_tokens import OneTimeToken, Purpose
from identity.domain.ports import Transaction, World
from identity.domain.roles import role_of
from identity.domain.throttles import ADDRESS_MAILS, SOURCE_MAILS

NOTICE_LIFETIME = timedelta(days=3)
"""How long a security notice is still worth sending."""

REQUEST_LIFETIME = timedelta(hours=1)
"""How long a wish for a mail is still worth fulfilling."""


def compose(
    world: World, kind: MailKind, recipient: str, locale: str, now: datetime, lifetime: timedelta, **values: str
) -> OutboxMail:
    """A mail with its values encrypted for its row, so that no token is at rest in the open (RC-01)."""
    mail_id = new_id(now)
    sealed = world.vault.seal(json.dumps(values).encode(), context=f"outbox:{mail_id}")
    return OutboxMail(mail_id, kind, recipient, locale, sealed, created_at=now, expires_at=now + lifetime)


def queue(world: World, tx: Transaction, mail: OutboxMail) -> None:
    """Put a mail into the outbox and wake the dispatcher once it is committed."""
    tx.outbox.add(mail)
    tx.after_commit(partial(world.wake_mail, mail.channel))


def compose_verification(world: World, tx: Transaction, account: Account, email: str, now: datetime) -> OutboxMail:
    """Make a fresh token that proves `email`, and the mail that carries it; older tokens die."""
    lifetime = world.policy.lifetimes.email_verification
    token = _new_token(world, tx, account, Purpose.VERIFY_EMAIL, email, now, lifetime)
    return compose(
        world,
        MailKind.VERIFY_EMAIL,
        email,
        account.locale,
        now,
        lifetime,
        token=token,
        name=account.name,
        expires_minutes=str(int(lifetime.total_seconds() // 60)),
    )


def compose_reset(
    world: World, tx: Transaction, account: Account, email: str, locale: str, now: datetime
) -> OutboxMail:
    """Make a fresh token that lets its holder set a new password, and the mail that carries it; older tokens die."""
    lifetime = world.policy.lifetimes.password_reset
    token, _ = new_reset_token(world, tx, account, email, now)
    return compose(
        world,
        MailKind.PASSWORD_RESET,
        email,
        locale,
        now,
        lifetime,
        token=token,
        name=account.name,
        expires_minutes=str(int(lifetime.total_seconds() // 60)),
    )


def new_reset_token(world: World, tx: Transaction, account: Account, email: str, now: datetime) -> tuple[str, datetime]:
    """A fresh token that lets its holder set a new password, and when it ends; older tokens die."""
    lifetime = world.policy.lifetimes.password_reset
    return _new_token(world, tx, account, Purpose.RESET_PASSWORD, email, now, lifetime), now + lifetime


def may_reset(world: World, tx: Transaction, account: Account) -> bool:
    """Whether an account may get a reset token: not a disabled one, nor one that has a role the policy excludes (Z-30).

    Its own role, or that of a membership: whoever was invited or promoted has it there.
    """
    own = role_of(world.policy, tx.roles, None, account.role)
    places = tx.tenants.memberships(account.id)
    roles = [own, *(role_of(world.policy, tx.roles, tenant.id, member.role) for tenant, member in places)]
    may = all(role is None or role.password_reset for role in roles)
    return may and account.status is not AccountStatus.DISABLED


def belongs(tx: Transaction, account: Account, tenant_slug: str | None) -> bool:
    """Whether an account belongs to a tenant; to any for None."""
    return tenant_slug is None or any(tenant.slug == tenant_slug for tenant, _ in tx.tenants.memberships(account.id))


def queue_unlock(world: World, tx: Transaction, account: Account, now: datetime) -> None:
    """Mail the owner of a locked account a token that opens it again."""
    if account.email is None:
        return
    lifetime = world.policy.lifetimes.email_verification
    token = _new_token(world, tx, account, Purpose.UNLOCK_ACCOUNT, account.email, now, lifetime)
    minutes = str(int(lifetime.total_seconds() // 60))
    values = {"token": token, "name": account.name, "expires_minutes": minutes}
    queue(world, tx, compose(world, MailKind.UNLOCK_ACCOUNT, account.email, account.locale, now, lifetime, **values))


def queue_notice(world: World, tx: Transaction, kind: MailKind, account: Account, now: datetime, **values: str) -> None:
    """Tell the owner what happened, if there is an address to tell it to (LO-03)."""
    if account.email is not None:
        values = {"name": account.name, "when": now.strftime("%Y-%m-%d %H:%M UTC"), **values}
        queue(world, tx, compose(world, kind, account.email, account.locale, now, NOTICE_LIFETIME, **values))


def _new_token(
    world: World,
    tx: Transaction,
    account: Account,
    purpose: Purpose,
    email: str,
    now: datetime,
    lifetime: timedelta,
) -> str:
    # First the row of the account: of two who make one at the same time, the later one sees the earlier one's (RC-01).
    tx.accounts.hold(account.id)
    token = world.secrets.new_token()
    tx.one_time_tokens.add(
        OneTimeToken(
            digest=world.secrets.digest(token),
            purpose=purpose,
            account_id=account.id,
            email=email,
            created_at=now,
            expires_at=now + lifetime,
        )
    )
    return token


def request_mail(
    world: World, kind: MailKind, address: str, locale: str | None, source: Source, **conditions: str
) -> None:
    """Queue the wish for a mail without looking anybody up: the dispatcher does, later (RC-03).

    Nothing is sent unless the `conditions` hold then: `tenant_slug` is a tenant that the account belongs to (Z-05).
    One mail of a kind in 60 s per address and 20 an hour per source; what is over is dropped silently, so
    that the answer, and the time it takes, are the same for every address.
    """
    now = world.clock()
    mail = compose(world, kind, address, locale or "", now, REQUEST_LIFETIME, **conditions)

    def ask(tx: Transaction) -> None:
        network = source.network
        if network is not None and not tx.throttles.charge_window(
            world.throttle_keys.digest("mails", network), SOURCE_MAILS, now
        ):
            return
        if charge_address(world, tx, kind, address, now):
            queue(world, tx, mail)

    world.database.write(ask)


def charge_address(world: World, tx: Transaction, kind: MailKind, address: str, now: datetime) -> bool:
    """Whether an address may get another mail of this kind.

    Each kind has a budget of its own, so that nobody silences the mail that resets a password by asking for others
    (LG-03).
    """
    return tx.throttles.charge_window(world.throttle_keys.digest(kind, address), ADDRESS_MAILS, now)


def resolve_request(world: World, request: OutboxMail) -> OutboxMail | None:
    """Turn a queued wish into the mail it asks for, in the row's own place; None where there is nothing to send."""
    now = world.clock()
    conditions = json.loads(world.vault.open(request.sealed, context=f"outbox:{request.id}"))

    def resolve(tx: Transaction) -> OutboxMail | None:
        by_email = "@" in request.recipient
        account = tx.accounts.find(
            email=request.recipient if by_email else None, phone=None if by_email else request.recipient
        )
        if account is None or account.email is None or account.status is AccountStatus.DISABLED:
            return None
        locale = request.locale or account.locale
        if request.kind is MailKind.REQUEST_VERIFICATION:
            if account.email_verified_at is not None:
                return None
            mail = compose_verification(world, tx, replace(account, locale=locale), account.email, now)
        else:
            if not may_reset(world, tx, account) or not belongs(tx, account, conditions.get("tenant_slug")):
                return None
            mail = compose_reset(world, tx, account, account.email, locale, now)
            record(tx.audit, Event.PASSWORD_RESET_SENT, now, account_id=account.id)
        return mail if tx.outbox.replace(request.id, mail) else None

    return world.database.write(resolve)
