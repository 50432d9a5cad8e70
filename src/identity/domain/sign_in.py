"""Opening and ending sessions: the only place where a session, and so a token, comes into being."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from identity.domain import gate
from identity.domain.accounts import Account
from identity.domain.audit import Event, record
from identity.domain.callers import Source
from identity.domain.challenges import Stage
from identity.domain.errors import DomainError, SessionRevoked
from identity.domain.ids import new_id
from identity.domain.mails import MailKind
from identity.domain.notices import queue_notice
from identity.domain.password_proof import password_budget
from identity.domain.policy import Claim
from identity.domain.ports import Transaction, World
from identity.domain.revocations import Revocation
from identity.domain.roles import role_of
from identity.domain.sessions import Device, EndReason, Place, Session
from identity.domain.tenants import Membership, Tenant
from identity.domain.tokens import AccessClaims


@dataclass(frozen=True, slots=True)
class Client:
    """What a sign-in says of the thing it comes from. `remember` None leaves it to the policy.

    `known_device` is no word of the client's: it has shown what we gave to that device (LG-03).
    """

    device: Device = Device()
    origin: str = ""
    remember: bool | None = None
    source: Source = Source()
    known_device: UUID | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a client holds of a session. One that is not remembered has no refresh token."""

    access_token: str = field(repr=False)
    access_expires_at: datetime
    refresh_token: str | None = field(repr=False)
    refresh_expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An opened session, what it stands for, its tokens, and the token by which its device is known from now on."""

    place: Place
    tokens: Tokens
    device_token: str = field(repr=False)


def open_session(
    world: World,
    tx: Transaction,
    account: Account,
    tenant: Tenant | None,
    membership: Membership | None,
    *,
    amr: tuple[str, ...],
    client: Client,
    now: datetime,
    replaces: Session | None = None,
) -> Place | DomainError:
    """Write a new session, or return why the gate refuses one. Past `max_sessions` the oldest ends (SE-06).

    Every factor has passed by now, so the failures in the budget that the attempt was charged to are forgotten
    (LG-02). A session that `replaces` another one proves nothing anew: it ends that, forgets no failure, is on the
    same device, lives no longer than that would have, and is as old. Raises SessionRevoked where somebody else has
    just ended it, and with it all that might come of it (F-09).
    """
    ask = gate.refusal if replaces is None else gate.refusal_to_go_on
    if (refused := ask(world.policy, account, tenant, now)) is not None:
        return gate.refuse(tx, refused, account, client.source, now)
    if replaces is not None:
        ended = tx.sessions.revoke(replaces.id, now=now, reason=EndReason.MEMBERSHIP)
        if ended is None:
            raise SessionRevoked()
        announce(world, tx, [ended], now)
    if replaces is None:
        tx.throttles.clear(password_budget(world, account.id, client.known_device))
        if client.known_device is None and account.locked_at is not None:
            tx.accounts.unlock(account.id)
    account = tx.accounts.count_sign_in(account.id, now=now, ip=client.source.address)
    _tell_of_new_device(world, tx, account, client, now)
    lifetimes = world.policy.lifetimes
    scope = gate.scope(account)
    if scope is not None:
        tx.accounts.spend_password(account.id, now)
        if account.email is not None and account.email_verified_at is None:
            account = tx.accounts.verify_email(account.id, email=account.email, now=now) or account
    wanted = world.policy.remember if client.remember is None else client.remember
    remembered = wanted and scope is None
    # Without a refresh token a session cannot outlive its one access token.
    lifetime = lifetimes.session if remembered else lifetimes.access_token
    key = membership.role if membership else account.role
    role = role_of(world.policy, tx.roles, tenant.id if tenant else None, key)
    session_id = new_id(now)
    session = Session(
        id=session_id,
        account_id=account.id,
        tenant_id=tenant.id if tenant else None,
        role=key,
        level=role.level if role else 0,
        counter=0,
        amr=amr,
        authenticated_at=replaces.authenticated_at if replaces else now,
        idle_expires_at=now + min(lifetimes.session_idle, lifetime),
        expires_at=min(now + lifetime, replaces.expires_at) if replaces else now + lifetime,
        scope=scope,
        remembered=remembered,
        device=client.device,
        origin=client.origin,
        user_agent=client.source.user_agent,
        ip=client.source.address,
        known_device=replaces.known_device if replaces else session_id,
    )
    keep = world.policy.max_sessions - 1
    evicted = tx.sessions.revoke_oldest(account.id, keep=keep, now=now, reason=EndReason.REVOKED)
    session = tx.sessions.add(session)
    announce(world, tx, evicted, now)
    for ended in evicted:
        record(tx.audit, Event.SESSION_EVICTED, now, account_id=account.id, session_id=ended.id)
    record(
        tx.audit,
        Event.SIGNED_IN,
        now,
        account_id=account.id,
        tenant_id=session.tenant_id,
        session_id=session.id,
        source=client.source,
        factor=" ".join(amr),
    )
    return Place(session, account, tenant, membership, role)


def _tell_of_new_device(world: World, tx: Transaction, account: Account, client: Client, now: datetime) -> None:
    """Mail the owner of an account that is entered on a device it was not entered on before (LO-03).

    The account has counted this sign-in already; the very first one needs no mail. It is a help and no guard:
    whoever repeats the labels of a known device goes unnoticed (Z-28), and one whose last session housekeeping
    has removed counts as new.
    """
    if not world.policy.new_device_notice or account.sign_in_count < 2:
        return
    device = client.device
    if not tx.sessions.has_device(account.id, device):
        label = ", ".join(part for part in (device.name, device.os) if part)
        source = client.source.address or ""
        queue_notice(world, tx, MailKind.NEW_DEVICE, account, now, device=label, source=source)


def accept(outcome: Place | DomainError) -> Place:
    """The opened session. Raises the gate's refusal, now that what it wrote to the journal is committed."""
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


def issue_tokens(world: World, opened: Place, now: datetime) -> SignedIn:
    """Mint the tokens of an opened session, once it is committed."""
    tokens = mint(world, opened.session, now, opened.account)
    return SignedIn(opened, tokens, world.device_tokens.issue(opened.session.id))


def mint(world: World, session: Session, now: datetime, account: Account | None) -> Tokens:
    """The tokens of a session at its present counter. An access token never outlives its session."""
    # Tokens say when they were issued in whole seconds: one minted in the second of a change must not look older.
    issued_at = max(now, session.tokens_from) if session.tokens_from else now
    expires_at = min(now + world.policy.lifetimes.access_token, session.expires_at)
    access_token = world.access_tokens.mint(
        AccessClaims(
            account_id=session.account_id,
            session_id=session.id,
            tenant_id=session.tenant_id,
            role=session.role,
            level=session.level,
            amr=session.amr,
            authenticated_at=session.authenticated_at,
            issued_at=issued_at,
            expires_at=expires_at,
            jti=new_id(now).hex,
            scope=session.scope,
            extra=_product_claims(world, session, account) if world.policy.claims else {},
        )
    )
    if not session.remembered:
        return Tokens(access_token, expires_at, None, None)
    refresh_token = world.refresh_tokens.issue(session.id, session.counter)
    return Tokens(access_token, expires_at, refresh_token, min(session.idle_expires_at, session.expires_at))


def _product_claims(world: World, session: Session, account: Account | None) -> dict[str, object]:
    values = {
        Claim.ACCOUNT_NUMBER: account.number if account else 0,
        Claim.SESSION_NUMBER: session.number,
        Claim.SESSION_ID: str(session.id),
    }
    return {name: values[claim] for name, claim in world.policy.claims.items()}


def end_sessions(
    world: World, tx: Transaction, account_id: UUID, reason: EndReason, now: datetime, *, except_id: UUID | None = None
) -> list[Session]:
    """End every session of an account, whose row this unit holds, but one, here and on every replica.

    When all end, so do the enrolments that they began: the owner has shown somebody out.
    """
    if except_id is None:
        tx.challenges.discard(account_id, now, Stage.ENROLMENT)
    ended = tx.sessions.revoke_all(account_id, now=now, reason=reason, except_id=except_id)
    announce(world, tx, ended, now)
    return ended


def announce_older_tokens(
    world: World, tx: Transaction, sessions: Iterable[Session], issued_before: datetime, now: datetime
) -> None:
    """Tell everybody that access tokens issued earlier no longer count, though their sessions go on."""
    _publish(world, tx, [(session, "membership") for session in sessions], now, issued_before)


def announce(world: World, tx: Transaction, ended: Iterable[Session], now: datetime) -> None:
    """Put ended sessions into the feed, and into this process's own view once that is committed (SE-04)."""
    ended = list(ended)
    for session in ended:
        tx.push_devices.forget_session(session.id)
    _publish(world, tx, [(session, session.revoked_reason or "") for session in ended], now)


def _publish(
    world: World,
    tx: Transaction,
    ended: list[tuple[Session, str]],
    now: datetime,
    issued_before: datetime | None = None,
) -> None:
    # The longest any access token can still live, plus the leeway of those who check it.
    until = now + world.policy.lifetimes.access_token + timedelta(minutes=1)
    revocations = [
        Revocation(session.id, session.account_id, now, reason, until, issued_before) for session, reason in ended
    ]
    if revocations:
        tx.revocations.add(revocations)
        tx.after_commit(lambda: world.revoked.learn(revocations))
