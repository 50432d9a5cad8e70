"""Login: a proven password becomes a session, or what still stands between the person and one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

from identity.domain.accounts import Account
from identity.domain.auth.proceed import Held, LoginResult, Step, finish, proceed
from identity.domain.errors import DomainError, InvalidCredentials
from identity.domain.password_proof import Identifier, Proof, prove_password
from identity.domain.ports import Transaction, World
from identity.domain.sessions import Place
from identity.domain.sign_in import Client


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody's wish to sign in. Without `tenant_slug` the account's only tenant is meant, or a choice is offered.

    A `device_token` that is of no use is as good as none.
    """

    identifier: Identifier
    password: str = field(repr=False)
    tenant_slug: str | None = None
    client: Client = Client()
    device_token: str = field(default="", repr=False)


def login(world: World, attempt: Attempt) -> LoginResult:
    """Sign somebody in with a password, as far as that goes.

    A session with a scope is one that can only change the password (PW-07).
    Raises InvalidCredentials, RateLimited, EmailNotVerified, AccountLocked or TenantNotFound.
    """
    who, source = attempt.identifier, attempt.client.source

    def find(tx: Transaction) -> Account | None:
        return tx.accounts.find(email=who.email, phone=who.phone)

    shown = world.device_tokens.read(attempt.device_token)
    with prove_password(world, find, attempt.password, spelling=who.spelling, source=source, session_id=shown) as proof:
        return _sign_in(world, attempt, proof)


def _sign_in(world: World, attempt: Attempt, proof: Proof) -> LoginResult:
    now = world.clock()
    held = Held(("pwd",), replace(attempt.client, known_device=proof.known_device), attempt.tenant_slug)
    rehashed = world.passwords.hash(attempt.password) if world.passwords.needs_rehash(proof.password_hash) else None

    def settle(stored: str, tx: Transaction) -> Step | DomainError | None:
        account = tx.accounts.lock(proof.account.id, password_hash=stored)
        if account is None:
            return None
        if rehashed is not None and stored == proof.password_hash:
            tx.accounts.rehash(account.id, rehashed)
        step = proceed(world, tx, account, held, now)
        if isinstance(step, Place):
            proof.settle(tx)
        elif not isinstance(step, DomainError):
            proof.refund_source(tx)
        return step

    step = world.database.write(partial(settle, proof.password_hash))
    if step is None:
        # Changed since it was proven; or only renewed, by somebody who signed in at the same moment (N-04).
        account = world.database.read(lambda tx: tx.accounts.get(proof.account.id))
        stored = account.password_hash if account else None
        if stored is not None and world.passwords.verify(attempt.password, stored):
            step = world.database.write(partial(settle, stored))
    return finish(world, step or InvalidCredentials(), now)
