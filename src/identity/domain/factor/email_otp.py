"""SetEmailOtp and SendFactorCode: codes by mail as a second factor, and a code to prove it afresh with."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from identity.domain.accounts import Account
from identity.domain.audit import Event
from identity.domain.callers import Caller
from identity.domain.challenges import LIFETIME, Challenge, Stage
from identity.domain.code_proof import charge_code, mail_code, new_recovery_codes, offered
from identity.domain.errors import DomainError, EmailNotVerified, FactorNotAllowed
from identity.domain.factor.change import factor_changed
from identity.domain.factor.remove_factor import remove
from identity.domain.factors import Factor, FactorType
from identity.domain.fresh_proof import FreshProof, with_fresh_proof
from identity.domain.ids import new_id
from identity.domain.ports import Transaction, World


@dataclass(frozen=True, slots=True)
class Switched:
    """The factor, if it is on now, and recovery codes where it is the account's first."""

    factor: Factor | None
    recovery_codes: list[str] = field(repr=False, default_factory=list)
    sessions_ended: int = 0


def set_email_otp(world: World, proof: FreshProof, *, enabled: bool) -> Switched:
    """Switch mailed codes on or off; what is so already changes nothing.

    Raises EmailNotVerified, FactorNotAllowed (beside an app, or where the policy has none: OT-06),
    FactorRequired, PasswordTooShort (as RemoveFactor), or what fresh proof is refused with.
    """

    def switch(tx: Transaction, account: Account, now: datetime) -> Switched | DomainError:
        factors = {factor.type: factor for factor in tx.factors.of(account.id)}
        present = factors.get(FactorType.EMAIL_OTP)
        if present is not None and not enabled:
            ended = remove(world, tx, account, present, proof, now)
            return ended if isinstance(ended, DomainError) else Switched(None, sessions_ended=ended)
        if present is not None or not enabled:
            return Switched(present)
        if account.email is None or account.email_verified_at is None:
            return EmailNotVerified()
        if FactorType.TOTP in factors or not world.policy.email_otp:
            return FactorNotAllowed()
        factor = tx.factors.put(
            Factor(id=new_id(now), account_id=account.id, type=FactorType.EMAIL_OTP, created_at=now)
        )
        codes = new_recovery_codes(world, tx, account, now)
        ended = factor_changed(world, tx, account, Event.FACTOR_ENROLLED, "email_otp", proof.caller, proof.source, now)
        return Switched(factor, codes, ended)

    return with_fresh_proof(world, proof, switch)


def send_factor_code(world: World, caller: Caller, locale: str | None) -> None:
    """Mail the caller a code to prove the e-mail factor with; without that factor nothing is sent."""
    now = world.clock()
    digest = world.secrets.digest(world.secrets.new_token())

    def send(tx: Transaction) -> None:
        account = tx.accounts.get(caller.account_id)
        factors = tx.factors.of(caller.account_id)
        if account is None or not factors or FactorType.EMAIL_OTP not in offered(world.policy, factors, account):
            return
        if not charge_code(world, tx, account, now):
            return  # The code of a moment ago goes on working, and asking costs no row.
        challenge = Challenge(digest, account.id, Stage.PROOF, created_at=now, expires_at=now + LIFETIME)
        tx.challenges.add(challenge)
        mail_code(world, tx, account, challenge, locale, now)

    world.database.write(send)
