"""SelectTenant: going on with a sign-in whose account belongs to several tenants."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from identity.domain.auth.proceed import LoginResult, Step, finish, held_by, live_ones, places_of, proceed
from identity.domain.callers import Source
from identity.domain.challenges import Stage, check
from identity.domain.errors import DomainError, TenantNotFound, TokenInvalid
from identity.domain.ports import Transaction, World


def select_tenant(
    world: World, token: str, *, tenant_id: UUID | None, tenant_slug: str | None, source: Source
) -> LoginResult:
    """Choose one of the offered tenants; a wrong choice keeps the challenge.

    Raises TokenInvalid, TokenExpired, TenantNotFound or what the gate refuses with.
    """
    now = world.clock()
    digest = world.secrets.digest(token)
    waiting = check(world.database.read(lambda tx: tx.challenges.get(digest, Stage.TENANT)), now)

    def choose(tx: Transaction) -> Step | DomainError:
        account = tx.accounts.hold(waiting.account_id)
        challenge = tx.challenges.consume(digest, Stage.TENANT, now)
        if account is None or challenge is None:
            raise TokenInvalid(field="challenge_token")
        held = replace(held_by(challenge, source), tenant_id=tenant_id, tenant_slug=tenant_slug)
        if not live_ones(places_of(tx, account, held)):
            # Raised, so that the challenge is not used up by a tenant that was not offered.
            raise TenantNotFound(field="tenant_slug" if tenant_slug is not None else "tenant_id")
        return proceed(world, tx, account, held, now)

    return finish(world, world.database.write(choose), now)
