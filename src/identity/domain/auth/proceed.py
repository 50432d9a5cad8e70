"""What comes after a proof: the next challenge, or the session. Every sign-in of several steps goes through here.

The order is fixed: the gate, the second factor, the tenant, the session. Whatever step somebody
comes from, what is still missing is asked for, so that no path skips one (LG-06, N-12, P-03).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from identity.domain import gate
from identity.domain.accounts import Account
from identity.domain.callers import Source
from identity.domain.challenges import LIFETIME, Challenge, Stage
from identity.domain.code_proof import offered, send_code
from identity.domain.errors import DomainError, InvalidCredentials, TenantNotFound
from identity.domain.factors import FactorType
from identity.domain.mfa_policy import is_factor_missing
from identity.domain.policy import Role
from identity.domain.ports import Transaction, World
from identity.domain.roles import role_of
from identity.domain.sessions import Place
from identity.domain.sign_in import Client, SignedIn, issue_tokens, open_session
from identity.domain.tenants import Membership, Tenant


@dataclass(frozen=True, slots=True)
class MfaChallenge:
    """A second factor is missing."""

    token: str = field(repr=False)
    expires_at: datetime
    factors: tuple[FactorType, ...]
    code_sent: bool


@dataclass(frozen=True, slots=True)
class TenantChoice:
    """The account belongs to several tenants, and none was named."""

    token: str = field(repr=False)
    expires_at: datetime
    places: tuple[tuple[Tenant, Membership, Role | None], ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What a sign-in has proven so far, and where it wants to go."""

    amr: tuple[str, ...]
    client: Client
    tenant_slug: str | None = None
    tenant_id: UUID | None = None


Step = MfaChallenge | TenantChoice | Place
LoginResult = MfaChallenge | TenantChoice | SignedIn


def proceed(world: World, tx: Transaction, account: Account, held: Held, now: datetime) -> Step | DomainError:
    """The next step of a sign-in whose account is locked by this unit; a refusal is returned, not raised."""
    places = places_of(tx, account, held)
    if not places and (held.tenant_id is not None or held.tenant_slug is not None):
        return _no_such_tenant(world, tx, held)
    live = live_ones(places)
    tenant, membership = live[0] if live else (places[0] if places else (None, None))
    if (refused := gate.refusal(world.policy, account, tenant, now)) is not None:
        return gate.refuse(tx, refused, account, held.client.source, now)
    if is_factor_missing(world, tx, account, places, held.amr):
        return _ask_for_code(world, tx, account, held, now)
    if len(live) > 1:
        return _offer_tenants(world, tx, account, held, live, now)
    return open_session(world, tx, account, tenant, membership, amr=held.amr, client=held.client, now=now)


def finish(world: World, step: Step | DomainError, now: datetime) -> LoginResult:
    """The step as the caller gets it, tokens included. Raises a refusal, now that it is committed."""
    if isinstance(step, DomainError):
        raise step
    return issue_tokens(world, step, now) if isinstance(step, Place) else step


def held_by(challenge: Challenge, source: Source) -> Held:
    """What a sign-in had proven when it was challenged."""
    client = Client(challenge.device, challenge.origin, challenge.remember, source, challenge.known_device)
    return Held(challenge.amr, client, challenge.tenant_slug, challenge.tenant_id)


def places_of(tx: Transaction, account: Account, held: Held) -> list[tuple[Tenant, Membership]]:
    """Where the account belongs, as far as the sign-in wants to go there."""
    return [
        (tenant, membership)
        for tenant, membership in tx.tenants.memberships(account.id)
        if held.tenant_slug in (None, tenant.slug) and held.tenant_id in (None, tenant.id)
    ]


def live_ones(places: list[tuple[Tenant, Membership]]) -> list[tuple[Tenant, Membership]]:
    """The places whose tenant is not suspended: the only ones to choose among."""
    return [place for place in places if place[0].suspended_at is None]


def _ask_for_code(world: World, tx: Transaction, account: Account, held: Held, now: datetime) -> Step:
    choices = offered(world.policy, tx.factors.of(account.id), account)
    token, challenge = _new_challenge(world, account, Stage.MFA, held, now)
    tx.challenges.add(challenge)
    # An app needs no mail; where a mailed code is the way, it is on its way already.
    code_sent = choices[:1] == [FactorType.EMAIL_OTP] and send_code(world, tx, account, challenge, None, now)
    return MfaChallenge(token, challenge.expires_at, tuple(choices), code_sent)


def _offer_tenants(
    world: World, tx: Transaction, account: Account, held: Held, places: list[tuple[Tenant, Membership]], now: datetime
) -> Step:
    token, challenge = _new_challenge(world, account, Stage.TENANT, held, now)
    tx.challenges.add(challenge)
    ordered = sorted(places, key=lambda place: place[0].name.casefold())
    options = tuple(
        (tenant, member, role_of(world.policy, tx.roles, tenant.id, member.role)) for tenant, member in ordered
    )
    return TenantChoice(token, challenge.expires_at, options)


def _new_challenge(world: World, account: Account, stage: Stage, held: Held, now: datetime) -> tuple[str, Challenge]:
    token = world.secrets.new_token()
    challenge = Challenge(
        digest=world.secrets.digest(token),
        account_id=account.id,
        stage=stage,
        created_at=now,
        expires_at=now + LIFETIME,
        amr=held.amr,
        tenant_slug=held.tenant_slug,
        tenant_id=held.tenant_id,
        device=held.client.device,
        origin=held.client.origin,
        remember=held.client.remember,
        known_device=held.client.known_device,
    )
    return token, challenge


def _no_such_tenant(world: World, tx: Transaction, held: Held) -> DomainError:
    """Wrong credentials, as for anything else that does not fit (Z-04), unless the policy makes slugs public."""
    known = held.tenant_slug is not None and tx.tenants.find(held.tenant_slug) is not None
    if world.policy.tells_unknown_tenants and not known:
        return TenantNotFound(field="tenant_slug")
    return InvalidCredentials()
