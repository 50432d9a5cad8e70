"""SendOtp and VerifyOtp: the second factor of a sign-in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from identity.domain.accounts import Account
from identity.domain.auth.proceed import LoginResult, Step, finish, held_by, proceed
from identity.domain.callers import Source
from identity.domain.challenges import Challenge, Stage, check
from identity.domain.code_proof import Code, offered, prove_code, send_code
from identity.domain.errors import DomainError, InvalidCredentials, OtpInvalid, TokenInvalid
from identity.domain.factors import AMR, FactorType
from identity.domain.password_proof import Identifier, Proof, prove_password
from identity.domain.ports import Transaction, World
from identity.domain.sessions import Place
from identity.domain.throttles import SOURCE_MAILS


@dataclass(frozen=True, slots=True)
class Credentials:
    """A sign-in repeated together with its code, for clients that keep no challenge token (Z-11)."""

    identifier: Identifier
    password: str = field(repr=False)
    fingerprint: str | None = None
    device_token: str = field(default="", repr=False)


def send_otp(
    world: World,
    *,
    token: str | None,
    identifier: Identifier | None,
    email: str | None,
    locale: str | None,
    source: Source,
) -> None:
    """Mail a new code for a sign-in that waits; the answer is the same when nothing is sent (Z-10, Z-12).

    The code only ever goes to the address on file. By `identifier` it is sent while a sign-in whose
    password was right waits, where the policy allows challenges without a token, and 20 times an hour for a source,
    whomever it names (RC-03). Raises TokenInvalid or TokenExpired for a challenge token that is of no use.
    """
    now = world.clock()
    digest = world.secrets.digest(token) if token is not None else None

    def send(tx: Transaction) -> None:
        if digest is not None:
            challenge = check(tx.challenges.get(digest, Stage.MFA), now)
        elif (found := _waiting(world, tx, identifier, source, now)) is not None:
            challenge = found
        else:
            return
        account = tx.accounts.get(challenge.account_id)
        if account is None or (email is not None and email != account.email):
            return
        if FactorType.EMAIL_OTP in offered(world.policy, tx.factors.of(account.id), account):
            send_code(world, tx, account, challenge, locale, now)

    world.database.write(send)


def verify_otp(world: World, token: str, code: Code, source: Source) -> LoginResult:
    """Answer a challenge with a code, and go on with the sign-in.

    Raises TokenInvalid or TokenExpired for the challenge, OtpInvalid or OtpExpired for the code, and
    what the gate refuses with.
    """
    now = world.clock()
    digest = world.secrets.digest(token)
    waiting = check(world.database.read(lambda tx: tx.challenges.get(digest, Stage.MFA)), now)
    return finish(world, world.database.write(lambda tx: _answer(world, tx, waiting, code, source)), now)


def verify_credentials_and_otp(world: World, who: Credentials, code: Code, source: Source) -> LoginResult:
    """Check a password and a code together: both are charged, and one answer covers both (Z-11).

    Raises InvalidCredentials, also where no sign-in waits on this device or the policy wants a token.
    """
    named = who.identifier

    def find(tx: Transaction) -> Account | None:
        return tx.accounts.find(email=named.email, phone=named.phone)

    shown = world.device_tokens.read(who.device_token)
    with prove_password(world, find, who.password, spelling=named.spelling, source=source, session_id=shown) as proof:
        return _answer_with(world, who, proof, code, source)


def _answer_with(world: World, who: Credentials, proof: Proof, code: Code, source: Source) -> LoginResult:
    now = world.clock()

    def answer(tx: Transaction) -> Step | DomainError:
        if tx.accounts.lock(proof.account.id, password_hash=proof.password_hash) is None:
            return InvalidCredentials()
        waiting = tx.challenges.answerable(proof.account.id, Stage.MFA, now, fingerprint=who.fingerprint)
        if waiting is None or not world.policy.challenges_without_token:
            return InvalidCredentials()
        step = _answer(world, tx, waiting, code, source)
        if isinstance(step, Place):
            proof.settle(tx)
        return InvalidCredentials() if isinstance(step, OtpInvalid) else step

    return finish(world, world.database.write(answer), now)


def _answer(world: World, tx: Transaction, waiting: Challenge, code: Code, source: Source) -> Step | DomainError:
    now = world.clock()
    # First the account's row: a change of password or status beside this waits for it, or is seen by it (N-05).
    account = tx.accounts.hold(waiting.account_id)
    challenge = tx.challenges.get(waiting.digest, Stage.MFA)
    if account is None or challenge is None or challenge.consumed_at is not None:
        return TokenInvalid(field="challenge_token")
    proven = prove_code(world, tx, account, code, challenge, source, now)
    if isinstance(proven, DomainError):
        return proven
    if tx.challenges.consume(challenge.digest, Stage.MFA, now) is None:
        return TokenInvalid(field="challenge_token")
    held = held_by(challenge, source)
    amr = (*held.amr, AMR[proven]) if proven is FactorType.EMAIL_OTP else (*held.amr, AMR[proven], "mfa")
    return proceed(world, tx, account, replace(held, amr=amr), now)


def _waiting(
    world: World, tx: Transaction, identifier: Identifier | None, source: Source, now: datetime
) -> Challenge | None:
    """The newest sign-in of somebody that waits for a code, where clients need no challenge token."""
    if identifier is None or not world.policy.challenges_without_token:
        return None
    # A budget beside that of other mails: asking for codes silences nobody's reset (LG-03).
    network = source.network
    if network is not None and not tx.throttles.charge_window(
        world.throttle_keys.digest("code-mails", network), SOURCE_MAILS, now
    ):
        return None
    account = tx.accounts.find(email=identifier.email, phone=identifier.phone)
    return tx.challenges.newest(account.id, Stage.MFA, now) if account else None
