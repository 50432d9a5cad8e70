"""Fresh proof: what a signed-in person shows before a security setting changes (OT-08, SE-03)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from identity.domain.accounts import Account
from identity.domain.authentication import live_session
from identity.domain.callers import Caller, Source
from identity.domain.challenges import Stage
from identity.domain.code_proof import Code, prove_code
from identity.domain.errors import (
    DomainError,
    InvalidCredentials,
    MfaRequired,
    ReauthenticationRequired,
)
from identity.domain.password_proof import Proof, prove_password
from identity.domain.ports import Transaction, World

R = TypeVar("R")

SIGN_IN_AT_MOST = timedelta(hours=24)
"""How old the sign-in behind a change of factors may be (SE-03, NIST 800-63B-4 §2.2.3)."""


@dataclass(frozen=True, slots=True)
class FreshProof:
    """The password, and a code where the account has a second factor."""

    caller: Caller
    password: str = field(repr=False)
    code: Code | None = None
    source: Source = Source()


def with_fresh_proof(
    world: World, proof: FreshProof, act: Callable[[Transaction, Account, datetime], R | DomainError]
) -> R:
    """Run `act` in one unit with the check of the code, on the account whose password was just proven.

    Raises ReauthenticationRequired, InvalidCredentials, RateLimited, MfaRequired, OtpInvalid, OtpExpired
    or what `act` returns or raises.
    """
    if world.clock() - proof.caller.authenticated_at > SIGN_IN_AT_MOST:
        raise ReauthenticationRequired()
    account_id, session_id = proof.caller.account_id, proof.caller.session_id

    def find(tx: Transaction) -> Account | None:
        return tx.accounts.get(account_id)

    spelling, source = str(account_id), proof.source
    with prove_password(
        world, find, proof.password, spelling=spelling, source=source, session_id=session_id
    ) as password:
        return _act(world, proof, password, act)


def _act(
    world: World,
    proof: FreshProof,
    password: Proof,
    act: Callable[[Transaction, Account, datetime], R | DomainError],
) -> R:
    now = world.clock()

    def run(tx: Transaction) -> R | DomainError:
        account = tx.accounts.lock(password.account.id, password_hash=password.password_hash)
        if account is None:
            return InvalidCredentials()
        live_session(tx, proof.caller, now)
        if (refused := check_code(world, tx, account, proof.code, proof.source, now)) is not None:
            return refused
        password.settle(tx)
        return act(tx, account, now)

    outcome = world.database.write(run)
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


def check_code(
    world: World, tx: Transaction, account: Account, code: Code | None, source: Source, now: datetime
) -> DomainError | None:
    """Why a code does not do for this account; None when it does, or when none is needed."""
    if not tx.factors.of(account.id):
        return None
    if code is None:
        return MfaRequired()
    waiting = tx.challenges.answerable(account.id, Stage.PROOF, now, fingerprint=None)
    proven = prove_code(world, tx, account, code, waiting, source, now)
    if isinstance(proven, DomainError):
        return proven
    if waiting is not None:
        tx.challenges.consume(waiting.digest, Stage.PROOF, now)
    return None
