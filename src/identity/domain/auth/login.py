"""Login: a proven password becomes a session, or what still stands between the person and one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from identity.domain.accounts import Account
from identity.domain.errors import DomainError, InvalidCredentials
from identity.domain.password_proof import Identifier, Proof, prove_password
from identity.domain.ports import Transaction, World
from identity.domain.sessions import Place
from identity.domain.sign_in import Client, SignedIn, accept, issue_tokens, open_session
from identity.domain.tenants import Membership, Tenant


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody's wish to sign in. Without `tenant_slug` the account's only tenant is meant."""

    identifier: Identifier
    password: str = field(repr=False)
    tenant_slug: str | None = None
    client: Client = Client()


def login(world: World, attempt: Attempt) -> SignedIn:
    """Sign somebody in with a password.

    A session with a scope is one that can only change the password (PW-07).
    Raises InvalidCredentials, RateLimited, EmailNotVerified or AccountLocked.
    """
    who, source = attempt.identifier, attempt.client.source

    def find(tx: Transaction) -> Account | None:
        return tx.accounts.find(email=who.email, phone=who.phone)

    with prove_password(world, find, attempt.password, spelling=who.spelling, source=source) as proof:
        return _sign_in(world, attempt, proof)


def _sign_in(world: World, attempt: Attempt, proof: Proof) -> SignedIn:
    now = world.clock()
    rehashed = world.passwords.hash(attempt.password) if world.passwords.needs_rehash(proof.password_hash) else None

    def settle(tx: Transaction) -> Place | DomainError:
        account = tx.accounts.lock(proof.account.id, password_hash=proof.password_hash)
        if account is None:
            return InvalidCredentials()
        tenant, membership = _place(tx, account, attempt.tenant_slug)
        if attempt.tenant_slug and tenant is None:
            return InvalidCredentials()
        opened = open_session(world, tx, account, tenant, membership, amr=("pwd",), client=attempt.client, now=now)
        if isinstance(opened, Place):
            proof.settle(tx)
            ip = attempt.client.source.address
            account = tx.accounts.count_sign_in(account.id, now=now, ip=ip, rehashed=rehashed)
            return replace(opened, account=account)
        return opened

    return issue_tokens(world, accept(world.database.write(settle)), now)


def _place(tx: Transaction, account: Account, slug: str | None) -> tuple[Tenant | None, Membership | None]:
    for tenant, membership in tx.tenants.memberships(account.id):
        if slug is None or tenant.slug == slug:
            return tenant, membership
    return None, None
