"""ChangePassword: by a signed-in person, or by somebody who names an account and proves its password."""

from __future__ import annotations

from dataclasses import dataclass, field

from identity.domain import gate
from identity.domain.accounts import Account, PersonName
from identity.domain.audit import Event, record
from identity.domain.authentication import live_session
from identity.domain.callers import Caller, Source
from identity.domain.code_proof import Code
from identity.domain.errors import DomainError, InvalidCredentials, PasswordUnchanged, Unauthenticated
from identity.domain.fresh_proof import check_code
from identity.domain.mails import MailKind
from identity.domain.notices import queue_notice
from identity.domain.password_proof import Identifier, Proof, prove_password
from identity.domain.password_rules import check_password, context_words
from identity.domain.ports import Transaction, World
from identity.domain.sessions import EndReason
from identity.domain.sign_in import end_sessions


@dataclass(frozen=True, slots=True)
class Change:
    """A proven wish for another password. Without a caller, `identifier` says whose (Z-03)."""

    current_password: str = field(repr=False)
    new_password: str = field(repr=False)
    code: Code | None = None
    identifier: Identifier | None = None
    caller: Caller | None = None
    source: Source = Source()


def change_password(world: World, wish: Change) -> int:
    """Replace a password; the number of sessions that ended with it (PW-06).

    The caller's own session goes on, unless it could do nothing but this; every other one ends, and
    all of them when nobody is signed in. Counts as a sign-in attempt, a bearer's as one of a known device.
    Raises Unauthenticated, InvalidCredentials, RateLimited, MfaRequired, OtpInvalid, OtpExpired,
    PasswordUnchanged or what a password is refused for.
    """
    caller, identifier = wish.caller, wish.identifier
    if caller is None and identifier is None:
        raise Unauthenticated()

    def find(tx: Transaction) -> Account | None:
        named = tx.accounts.find(email=identifier.email, phone=identifier.phone) if identifier else None
        if caller is None:
            return named
        account = tx.accounts.get(caller.account_id)
        # A bearer may only change its own password, whatever address it names (Z-03).
        return account if identifier is None or (named and account and named.id == account.id) else None

    spelling = identifier.spelling if identifier else str(caller and caller.account_id)
    current, source, session_id = wish.current_password, wish.source, caller.session_id if caller else None
    with prove_password(world, find, current, spelling=spelling, source=source, session_id=session_id) as proof:
        return _replace(world, wish, proof)


def _replace(world: World, wish: Change, proof: Proof) -> int:
    account, caller = proof.account, wish.caller
    if caller is None and (refused := gate.refusal(world.policy, account, None, world.clock())) is not None:
        raise refused
    try:
        _check_new(world, wish, proof)
    except DomainError:
        # Whoever has proven the password and only chose the next one badly has failed at nothing.
        world.database.write(proof.settle)
        raise
    password_hash = world.passwords.hash(wish.new_password)
    now = world.clock()
    keep = caller.session_id if caller is not None and caller.scope is None else None

    def settle(tx: Transaction) -> int | DomainError:
        held = tx.accounts.lock(account.id, password_hash=proof.password_hash)
        if held is None:
            return InvalidCredentials()
        if caller is not None:
            live_session(tx, caller, now)
        elif (refused := gate.refusal(world.policy, held, None, now)) is not None:
            return refused
        if (refused := check_code(world, tx, account, wish.code, wish.source, now)) is not None:
            return refused
        tx.accounts.set_password(account.id, password_hash=password_hash, now=now)
        proof.settle(tx)
        ended = end_sessions(world, tx, account.id, EndReason.PASSWORD, now, except_id=keep)
        tx.one_time_tokens.discard(account.id, now)
        tx.challenges.discard(account.id, now)
        record(tx.audit, Event.PASSWORD_CHANGED, now, account_id=account.id, source=wish.source, factor="pwd")
        queue_notice(world, tx, MailKind.PASSWORD_CHANGED, account, now)
        return len(ended)

    outcome = world.database.write(settle)
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


def _check_new(world: World, wish: Change, proof: Proof) -> None:
    account = proof.account
    name = PersonName(account.first_name, account.last_name, account.name)
    check_password(
        world,
        wish.new_password,
        words=context_words(account.email, name),
        field="new_password",
        second_factor=account.two_factor_enabled,
    )
    if world.passwords.verify(wish.new_password, proof.password_hash):
        raise PasswordUnchanged(field="new_password")
