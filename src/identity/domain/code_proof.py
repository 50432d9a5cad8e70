"""Proving a second factor: charged before it is looked at, over all challenges and connections (OT-05)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from identity.domain.accounts import Account
from identity.domain.audit import Event, record
from identity.domain.callers import Source
from identity.domain.challenges import LIFETIME, TRIES, Challenge
from identity.domain.errors import DomainError, OtpExpired, OtpInvalid
from identity.domain.factors import Factor, FactorType
from identity.domain.mails import MailKind
from identity.domain.notices import compose, queue
from identity.domain.policy import Policy
from identity.domain.ports import Transaction, World
from identity.domain.throttles import ADDRESS_MAILS, Backoff

CODE_ATTEMPTS = Backoff("code_attempts", free=5, first=timedelta(seconds=1), longest=timedelta(minutes=15), limit=100)


@dataclass(frozen=True, slots=True)
class Code:
    """What somebody typed. Without a `type` it is for the one factor that is offered."""

    value: str = field(repr=False)
    type: FactorType | None = None


def offered(policy: Policy, factors: list[Factor], account: Account) -> list[FactorType]:
    """What a challenge may be answered with.

    Mailed codes are off beside an authenticator app, and where the policy has none (OT-06); otherwise, where
    a factor is demanded of somebody who has enrolled none, the address on file is the one there is. The contract has
    no factor of its own for SMS: for an account with a phone number and no address, `EMAIL_OTP` stands for the same
    code, sent to the number.
    """
    enrolled = {factor.type for factor in factors}
    if FactorType.TOTP in enrolled:
        return [FactorType.TOTP, FactorType.RECOVERY_CODE]
    by_mail = [FactorType.EMAIL_OTP] if policy.email_otp and _reached_at(account) else []
    return [*by_mail, FactorType.RECOVERY_CODE] if FactorType.EMAIL_OTP in enrolled else by_mail


def prove_code(
    world: World,
    tx: Transaction,
    account: Account,
    code: Code,
    challenge: Challenge | None,
    source: Source,
    now: datetime,
) -> FactorType | DomainError:
    """Check a code, in the transaction that acts on it; the factor it proves, or what to refuse it with.

    The refusal is returned, not raised, so that the charge and the journal are kept. Wrong, used,
    foreign and throttled codes are refused alike with OtpInvalid, a mailed code past its time with
    OtpExpired.
    """
    factors = tx.factors.of(account.id)
    choices = offered(world.policy, factors, account)
    kind = code.type or (choices[0] if choices else FactorType.TOTP)
    budget = code_budget(world, account, kind)
    refused: DomainError | None = OtpInvalid()
    if challenge is not None and not tx.challenges.count_try(challenge.digest, most=TRIES, now=now):
        refused = OtpExpired()
    elif kind in choices and tx.throttles.charge_backoff(budget, CODE_ATTEMPTS, now):
        refused = _check(world, tx, account, factors, kind, code.value, challenge, now)
    if refused is not None:
        record(tx.audit, Event.CODE_FAILED, now, account_id=account.id, source=source, factor=kind.value)
        return refused
    tx.throttles.clear(budget)
    for factor in factors:
        if factor.type is kind:
            tx.factors.touch(factor.id, now)
    return kind


def send_code(
    world: World, tx: Transaction, account: Account, challenge: Challenge, locale: str | None, now: datetime
) -> bool:
    """Mail a fresh code for a challenge, at most one in 60 s; the older code dies. Whether one was queued."""
    if not charge_code(world, tx, account, now):
        return False
    mail_code(world, tx, account, challenge, locale, now)
    return True


def charge_code(world: World, tx: Transaction, account: Account, now: datetime) -> bool:
    """Whether an account may get another code now: there is somewhere to send it, and the last one is 60 s ago."""
    budget = world.throttle_keys.digest("code", str(account.id))
    return _reached_at(account) is not None and tx.throttles.charge_window(budget, ADDRESS_MAILS, now)


def mail_code(
    world: World, tx: Transaction, account: Account, challenge: Challenge, locale: str | None, now: datetime
) -> None:
    """Mail a fresh code that was charged for. An account without an address gets it by SMS."""
    recipient = _reached_at(account) or ""
    code = world.secrets.new_otp()
    digest = world.code_digests.digest("otp", _mailed_code(challenge, code))
    tx.challenges.set_code(challenge.digest, code_digest=digest, now=now)
    values = {"code": code, "name": account.name, "expires_minutes": str(int(LIFETIME.total_seconds() // 60))}
    mail = compose(world, MailKind.SIGN_IN_CODE, recipient, locale or account.locale, now, LIFETIME, **values)
    queue(world, tx, mail)


def _reached_at(account: Account) -> str | None:
    """The one place an account's codes go to: its mail address, or else its phone number."""
    return account.email or account.phone


def code_budget(world: World, account: Account, kind: FactorType) -> bytes:
    """The key of the budget of an account's factor, whatever challenge or connection it is tried on."""
    return world.throttle_keys.digest("code", f"{account.id}:{kind.value}")


def new_recovery_codes(world: World, tx: Transaction, account: Account, now: datetime) -> list[str]:
    """Fresh recovery codes, shown once; the older ones die (OT-07)."""
    codes = world.secrets.new_recovery_codes()
    digests = [world.code_digests.digest("recovery", _recovery_code(account, code)) for code in codes]
    tx.factors.set_recovery_codes(account.id, digests, now)
    return codes


def _check(
    world: World,
    tx: Transaction,
    account: Account,
    factors: list[Factor],
    kind: FactorType,
    value: str,
    challenge: Challenge | None,
    now: datetime,
) -> DomainError | None:
    match kind:
        case FactorType.TOTP:
            factor = next(factor for factor in factors if factor.type is kind)
            step = world.totp.step_of(open_seed(world, factor), value, now)
            return None if step is not None and tx.factors.use_step(factor.id, step=step, now=now) else OtpInvalid()
        case FactorType.RECOVERY_CODE:
            stored = world.code_digests.candidates("recovery", _recovery_code(account, value))
            used = any(tx.factors.use_recovery_code(account.id, digest, now) for digest in stored)
            return None if used else OtpInvalid()
        case FactorType.EMAIL_OTP:
            if challenge is None or challenge.code_digest is None or challenge.code_sent_at is None:
                return OtpInvalid()
            if now >= challenge.code_sent_at + LIFETIME:
                return OtpExpired()
            possible = world.code_digests.candidates("otp", _mailed_code(challenge, value))
            right = any(world.secrets.equal(challenge.code_digest, digest) for digest in possible)
            return None if right else OtpInvalid()


def open_seed(world: World, factor: Factor) -> str:
    """The TOTP seed of a factor."""
    return world.vault.open(factor.sealed_secret or b"", context=f"factor:{factor.id}").decode()


def seal_seed(world: World, factor_id: object, secret: str) -> bytes:
    """A TOTP seed as it is kept (OT-01)."""
    return world.vault.seal(secret.encode(), context=f"factor:{factor_id}")


def _mailed_code(challenge: Challenge, code: str) -> str:
    # Bound to its challenge: six digits are soon the same for somebody else.
    return f"{challenge.digest.hex()}:{code}"


def _recovery_code(account: Account, code: str) -> str:
    plain = "".join(character for character in code.lower() if character.isalnum())
    return f"{account.id}:{plain}"
