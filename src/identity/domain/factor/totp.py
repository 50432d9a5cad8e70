"""BeginTotpEnrollment and ConfirmTotpEnrollment: an authenticator app, in two steps."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from identity.domain.accounts import Account
from identity.domain.audit import Event, record
from identity.domain.authentication import live_session
from identity.domain.callers import Caller, Source
from identity.domain.challenges import LIFETIME, TRIES, Challenge, Stage, check
from identity.domain.code_proof import code_budget, new_recovery_codes, seal_seed
from identity.domain.errors import DomainError, OtpInvalid, TokenInvalid
from identity.domain.factor.change import factor_changed
from identity.domain.factors import Factor, FactorType
from identity.domain.fresh_proof import FreshProof, with_fresh_proof
from identity.domain.ids import new_id
from identity.domain.ports import Transaction, World


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A seed that waits for its first code; the only time it is ever shown (OT-01)."""

    token: str = field(repr=False)
    secret: str = field(repr=False)
    uri: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A factor that was switched on, and the recovery codes that came with it, shown once."""

    factor: Factor
    recovery_codes: list[str] = field(repr=False)
    sessions_ended: int


def begin_totp_enrolment(world: World, proof: FreshProof, label: str | None) -> Enrolment:
    """Make a seed for an app; nothing changes until it is confirmed. Raises what fresh proof is refused with."""

    def begin(tx: Transaction, account: Account, now: datetime) -> Enrolment:
        token, secret = world.secrets.new_token(), world.totp.new_secret()
        digest = world.secrets.digest(token)
        seed = json.dumps({"secret": secret, "label": label}).encode()
        tx.challenges.add(
            Challenge(
                digest=digest,
                account_id=account.id,
                stage=Stage.ENROLMENT,
                created_at=now,
                expires_at=now + LIFETIME,
                sealed=world.vault.seal(seed, context=f"enrolment:{digest.hex()}"),
            )
        )
        name = account.email or account.phone or str(account.id)
        return Enrolment(token, secret, world.totp.uri(secret, name), now + LIFETIME)

    return with_fresh_proof(world, proof, begin)


def confirm_totp_enrolment(world: World, caller: Caller, token: str, code: str, source: Source) -> Enrolled:
    """Switch the app on with its first code, which is used up by it (OT-02); an older app is replaced.

    The code is of a seed that is nobody's yet, so wrong ones are charged to the enrolment alone: whoever has lost the
    old app, or guessed at it too often, can have a new one. Raises SessionRevoked, TokenInvalid, TokenExpired or
    OtpInvalid.
    """
    now = world.clock()
    digest = world.secrets.digest(token)

    def confirm(tx: Transaction) -> Enrolled | DomainError:
        account = tx.accounts.hold(caller.account_id)
        live_session(tx, caller, now)
        waiting = check(tx.challenges.get(digest, Stage.ENROLMENT), now)
        if account is None or waiting.account_id != account.id:
            return TokenInvalid(field="enrollment_token")
        if not tx.challenges.count_try(digest, most=TRIES, now=now):
            return OtpInvalid(field="code")
        seed = json.loads(world.vault.open(waiting.sealed or b"", context=f"enrolment:{digest.hex()}"))
        step = world.totp.step_of(seed["secret"], code, now)
        if step is None:
            record(tx.audit, Event.CODE_FAILED, now, account_id=account.id, source=source, factor="totp")
            return OtpInvalid(field="code")
        tx.throttles.clear(code_budget(world, account, FactorType.TOTP))
        tx.challenges.consume(digest, Stage.ENROLMENT, now)
        factor_id = new_id(now)
        factor = tx.factors.put(
            Factor(
                id=factor_id,
                account_id=account.id,
                type=FactorType.TOTP,
                created_at=now,
                label=seed["label"],
                sealed_secret=seal_seed(world, factor_id, seed["secret"]),
                last_step=step,
            )
        )
        codes = new_recovery_codes(world, tx, account, now)
        ended = factor_changed(world, tx, account, Event.FACTOR_ENROLLED, "totp", caller, source, now)
        return Enrolled(factor, codes, ended)

    outcome = world.database.write(confirm)
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome
