"""Proving a password: charged before it is looked at, and alike whoever is asked for (LG-01, LG-02)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from identity.domain.accounts import Account
from identity.domain.audit import Event, record
from identity.domain.callers import Source
from identity.domain.errors import InvalidCredentials, RateLimited
from identity.domain.ports import Transaction, World
from identity.domain.throttles import PASSWORD_ATTEMPTS, SOURCE_FAILURES


@dataclass(frozen=True, slots=True)
class Identifier:
    """How somebody names themselves: a canonical e-mail address or an E.164 number, exactly one."""

    email: str | None = None
    phone: str | None = None

    @property
    def spelling(self) -> str:
        return self.email or self.phone or ""


@dataclass(frozen=True, slots=True)
class Proof:
    """An account whose password was just proven, and the budgets that the attempt was charged to."""

    account: Account
    password_hash: str
    attempts_key: bytes
    source_key: bytes | None

    def settle(self, tx: Transaction) -> None:
        """Give the budgets back; to be called once every factor has passed."""
        tx.throttles.clear(self.attempts_key)
        if self.source_key is not None:
            tx.throttles.refund(self.source_key)


def password_budget(world: World, of: UUID | str) -> bytes:
    """The key of the budget of an account, or of an identifier that belongs to nobody."""
    return world.throttle_keys.digest("password", str(of))


def prove_password(
    world: World,
    find: Callable[[Transaction], Account | None],
    password: str,
    *,
    spelling: str,
    source: Source,
) -> Proof:
    """Check a password against the account that `find` names.

    Raises InvalidCredentials for an unknown account, a wrong password and an exhausted budget alike,
    RateLimited when the source, whatever it asks for, has failed too often.
    """
    now = world.clock()
    network = source.network
    source_key = None if network is None else world.throttle_keys.digest("source", network)

    def charge(tx: Transaction) -> tuple[Account | None, bytes] | None:
        if source_key is not None and not tx.throttles.charge_window(source_key, SOURCE_FAILURES, now):
            return None
        account = find(tx)
        key = password_budget(world, account.id if account else spelling)
        if not tx.throttles.charge_backoff(key, PASSWORD_ATTEMPTS, now):
            record(tx.audit, Event.SIGN_IN_BLOCKED, now, account_id=account.id if account else None, source=source)
            return None, b""
        return account, key

    charged = world.database.write(charge)
    if charged is None:
        raise RateLimited(retry_after=SOURCE_FAILURES.period.total_seconds())
    account, key = charged
    if not key:
        raise InvalidCredentials()
    stored = account.password_hash if account else None
    proven = world.passwords.verify(password, stored)
    if account is None or stored is None or not proven:
        world.database.write(
            lambda tx: record(
                tx.audit,
                Event.SIGN_IN_FAILED,
                now,
                account_id=account.id if account else None,
                source=source,
                factor="pwd",
            )
        )
        raise InvalidCredentials()
    return Proof(account, stored, key, source_key)
