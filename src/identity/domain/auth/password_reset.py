"""RequestPasswordReset, ValidatePasswordReset and ResetPassword: the way back in by mail."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from identity.domain.accounts import Account, PersonName
from identity.domain.audit import Event, record
from identity.domain.callers import Source
from identity.domain.errors import LinkNotFound, LinkUsed, PasswordUnchanged
from identity.domain.mails import MailKind
from identity.domain.notices import belongs, charge_address, may_reset, new_reset_token, queue_notice, request_mail
from identity.domain.one_time_tokens import OneTimeToken, Purpose, check
from identity.domain.password_proof import Identifier, password_budget
from identity.domain.password_rules import check_password, context_words
from identity.domain.ports import Transaction, World
from identity.domain.sessions import EndReason
from identity.domain.sign_in import end_sessions


@dataclass(frozen=True, slots=True)
class Reset:
    """A mailed token and the password it is to set. A given `email` must be the token's own."""

    token: str = field(repr=False)
    new_password: str = field(repr=False)
    email: str | None = None
    source: Source = Source()


def request_password_reset(
    world: World, identifier: Identifier, tenant_slug: str | None, locale: str | None, source: Source
) -> None:
    """Ask for a reset mail; the same work and answer for everybody (RC-03, Z-05, Z-30).

    A phone number is answered alike and nothing is sent to it, nor to who does not belong to the tenant of a slug.
    """
    conditions = {"tenant_slug": tenant_slug} if tenant_slug else {}
    request_mail(world, MailKind.REQUEST_PASSWORD_RESET, identifier.spelling, locale, source, **conditions)


def issue_password_reset(
    world: World, identifier: Identifier, tenant_slug: str | None, service: str, source: Source
) -> tuple[str, datetime] | None:
    """A reset token for a backend to hand over itself (Z-02); None where a mail would not have been sent either.

    At most one in 60 s per account, mailed ones included; the account's second factor is still asked for afterwards.
    """
    now = world.clock()

    def issue(tx: Transaction) -> tuple[str, datetime] | None:
        account = tx.accounts.find(email=identifier.email, phone=identifier.phone)
        if account is None or account.email is None or not may_reset(world, tx, account):
            return None
        if not belongs(tx, account, tenant_slug):
            return None
        if not charge_address(world, tx, MailKind.REQUEST_PASSWORD_RESET, account.email, now):
            return None
        token, expires_at = new_reset_token(world, tx, account, account.email, now)
        record(tx.audit, Event.PASSWORD_RESET_ISSUED, now, account_id=account.id, source=source, service=service)
        return token, expires_at

    return world.database.write(issue)


def validate_password_reset(world: World, token: str) -> OneTimeToken:
    """Look at a reset token without using it up (RC-06). Raises LinkNotFound, LinkUsed or LinkExpired."""
    digest = world.secrets.digest(token)
    now = world.clock()
    return check(world.database.read(lambda tx: tx.one_time_tokens.get(digest, Purpose.RESET_PASSWORD)), now)


def reset_password(world: World, wish: Reset) -> None:
    """Set a new password with a mailed token; every session and other token of the account ends (RC-05).

    Nobody is signed in by it. Having read the mail proves the address (RC-08).
    Raises LinkNotFound, LinkUsed, LinkExpired or what a password is refused for, which keeps the token.
    """
    digest = world.secrets.digest(wish.token)
    now = world.clock()
    token = world.database.read(lambda tx: tx.one_time_tokens.get(digest, Purpose.RESET_PASSWORD))
    if token is not None and wish.email is not None and wish.email != token.email:
        raise LinkNotFound(field="token")
    token = check(token, now)
    account = world.database.read(lambda tx: tx.accounts.get(token.account_id))
    if account is None:
        raise LinkNotFound(field="token")
    name = PersonName(account.first_name, account.last_name, account.name)
    check_password(
        world,
        wish.new_password,
        words=context_words(account.email, name),
        field="new_password",
        second_factor=account.two_factor_enabled,
    )
    if world.passwords.verify(wish.new_password, account.password_hash):
        raise PasswordUnchanged(field="new_password")
    password_hash = world.passwords.hash(wish.new_password)

    def settle(tx: Transaction) -> None:
        # First the row of the account: whoever signs in beside this waits for it, or is seen by it (F-09).
        tx.accounts.set_password(account.id, password_hash=password_hash, now=now)
        used = tx.one_time_tokens.consume(digest, Purpose.RESET_PASSWORD, now)
        if used is None:
            raise LinkUsed(field="token")
        proven = tx.accounts.verify_email(account.id, email=used.email, now=now)
        tx.throttles.clear(password_budget(world, account.id))
        tx.one_time_tokens.discard(account.id, now)
        tx.challenges.discard(account.id, now)
        if account.email_verified_at is None:
            forget_squatter(world, tx, account, now)
        end_sessions(world, tx, account.id, EndReason.PASSWORD, now)
        record(tx.audit, Event.PASSWORD_RESET, now, account_id=account.id, source=wish.source)
        queue_notice(world, tx, MailKind.PASSWORD_CHANGED, proven or account, now)

    world.database.write(settle)


def forget_squatter(world: World, tx: Transaction, account: Account, now: datetime) -> None:
    """Undo what was set before the address was proven, now that its owner has: it may be a squatter's (RC-08)."""
    for factor in tx.factors.of(account.id):
        tx.factors.remove(factor)
    tx.factors.set_recovery_codes(account.id, [], now)
    tx.one_time_tokens.discard(account.id, now)
    tx.challenges.discard(account.id, now)
    end_sessions(world, tx, account.id, EndReason.PASSWORD, now)
