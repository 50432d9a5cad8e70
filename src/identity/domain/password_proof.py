"""Proving a password: charged before it is looked at, and alike whoever is asked for (LG-01, LG-02).

An attempt is charged to the account's budget and to its source's. One from a device that has shown what we gave it
at an earlier sign-in is charged to that device's own budget instead: whoever uses up the others, from wherever, keeps
the owner's devices from nothing (LG-03).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain, repeat
from uuid import UUID

from identity.domain.accounts import Account
from identity.domain.attempts import Bout
from identity.domain.audit import Event, record
from identity.domain.callers import Source
from identity.domain.errors import InvalidCredentials, RateLimited
from identity.domain.notices import queue_unlock
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
    known_device: UUID | None
    bout: Bout

    def settle(self, tx: Transaction) -> None:
        """Give the budgets back; to be called once every factor has passed."""
        tx.throttles.clear(self.attempts_key)
        self.refund_source(tx)
        tx.after_commit(self.bout.succeed)

    def refund_source(self, tx: Transaction) -> None:
        """Give the source's budget back, instead, where the password was right and another step comes (LG-04)."""
        if self.source_key is not None:
            tx.throttles.refund(self.source_key)


@dataclass(frozen=True, slots=True)
class _Charged:
    account: Account | None
    key: bytes
    source_key: bytes | None
    known_device: UUID | None
    admitted: bool


def password_budget(world: World, of: UUID | str, known_device: UUID | None = None) -> bytes:
    """The key of the budget of an account, of an identifier that belongs to nobody, or of an account's known device."""
    if known_device is not None:
        return world.throttle_keys.digest("device", f"{of}:{known_device}")
    return world.throttle_keys.digest("password", str(of))


@contextmanager
def prove_password(
    world: World,
    find: Callable[[Transaction], Account | None],
    password: str,
    *,
    spelling: str,
    source: Source,
    session_id: UUID | None = None,
) -> Iterator[Proof]:
    """Check a password against the account that `find` names; whoever was let in settles the proof inside the block.

    `session_id` is the session whose bearer or device token was shown; one of another account is as good as none.
    Raises InvalidCredentials for an unknown account, a wrong password and an exhausted budget alike,
    RateLimited when the source, whatever it asks for, has failed too often.
    """
    now = world.clock()
    network = source.network
    source_key = None if network is None else world.throttle_keys.digest("source", network)

    def charge(tx: Transaction, *, again: bool) -> _Charged | None:
        account = find(tx)
        account_id = account.id if account else None
        # Looked up for nobody too: the same work, whoever is asked for (LG-01).
        device = tx.sessions.known_device(session_id, account_id) if session_id else None
        charged_source = None if device else source_key
        if charged_source and not again and not tx.throttles.charge_window(charged_source, SOURCE_FAILURES, now):
            return None
        key = password_budget(world, account_id or spelling, device)
        admitted = tx.throttles.charge_backoff(key, PASSWORD_ATTEMPTS, now)
        if device is None and account is not None and account.locked_at is not None:
            # Kept with the account as well: a budget is named by the secret, and begins anew under another (F-22).
            admitted = False
        return _Charged(account, key, charged_source, device, admitted)

    with world.attempts.join(f"{spelling} {session_id}") as bout:
        for again in chain([False], repeat(True)):
            seen = bout.successes
            with bout.undecided():
                charged = world.database.write(partial(charge, again=again))
                if charged is None:
                    raise RateLimited(retry_after=SOURCE_FAILURES.period.total_seconds())
                if charged.admitted:
                    account, stored = _verify(world, charged, password, source, now)
                    yield Proof(account, stored, charged.key, charged.source_key, charged.known_device, bout)
                    return
            if not bout.await_success(seen):
                _record(world, Event.SIGN_IN_BLOCKED, charged.account, source, now)
                raise InvalidCredentials()


def _verify(world: World, charged: _Charged, password: str, source: Source, now: datetime) -> tuple[Account, str]:
    account = charged.account
    stored = account.password_hash if account else None
    proven = world.passwords.verify(password, stored)
    if account is None or stored is None or not proven:
        world.database.write(lambda tx: _note_failure(world, tx, charged, source, now))
        raise InvalidCredentials()
    return account, stored


def _record(world: World, event: Event, account: Account | None, source: Source, now: datetime) -> None:
    account_id = account.id if account else None
    world.database.write(lambda tx: record(tx.audit, event, now, account_id=account_id, source=source, factor="pwd"))


def _note_failure(world: World, tx: Transaction, charged: _Charged, source: Source, now: datetime) -> None:
    account = charged.account
    account_id = account.id if account else None
    record(tx.audit, Event.SIGN_IN_FAILED, now, account_id=account_id, source=source, factor="pwd")
    # Looked at for nobody too: the same work, whoever is asked for (LG-01).
    spent = tx.throttles.failures(charged.key) >= PASSWORD_ATTEMPTS.limit
    if account is None or not spent:
        return
    if charged.known_device is not None:
        # Whoever fails that often there is somebody else: from here on the device is as unknown as any.
        tx.sessions.forget_device(account.id, charged.known_device)
        tx.throttles.clear(charged.key)
    else:
        # The password is of no use from here on (LG-02): its owner is told, and gets a way out.
        tx.accounts.note_lock(account.id, now)
        record(tx.audit, Event.ACCOUNT_LOCKED, now, account_id=account.id, source=source)
        queue_unlock(world, tx, account, now)
