"""SwitchTenant: the same person, in another of their tenants."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from identity.domain.auth.proceed import live_ones
from identity.domain.authentication import live_session
from identity.domain.callers import Caller, Source
from identity.domain.errors import DomainError, MfaRequired, SessionRevoked, TenantNotFound
from identity.domain.mfa_policy import is_factor_missing
from identity.domain.ports import Transaction, World
from identity.domain.sessions import Place
from identity.domain.sign_in import Client, SignedIn, accept, issue_tokens, open_session


def switch_tenant(
    world: World, caller: Caller, *, tenant_id: UUID | None, tenant_slug: str | None, source: Source
) -> SignedIn:
    """Open a session in another tenant of the caller's, in place of the present one (SE-05).

    Its absolute end and the moment of the sign-in stay what they were: switching proves nothing anew.
    Raises TenantNotFound, MfaRequired or what the gate refuses with.
    """
    now = world.clock()

    def switch(tx: Transaction) -> Place | DomainError:
        account = tx.accounts.hold(caller.account_id)
        old = live_session(tx, caller, now)
        if account is None:
            raise SessionRevoked()
        places = live_ones(tx.tenants.memberships(account.id))
        wanted = [place for place in places if place[0].id == tenant_id or place[0].slug == tenant_slug]
        if not wanted:
            raise TenantNotFound(field="tenant_id" if tenant_id else "tenant_slug")
        tenant, membership = wanted[0]
        if is_factor_missing(world, tx, account, [(tenant, membership)], old.amr):
            raise MfaRequired()
        client = Client(old.device, old.origin, old.remembered, replace(source, user_agent=old.user_agent))
        return open_session(world, tx, account, tenant, membership, amr=old.amr, client=client, now=now, replaces=old)

    return issue_tokens(world, accept(world.database.write(switch)), now)
