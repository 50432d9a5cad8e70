"""GetSession tells some things from memory; nobody may notice, except for one second across processes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic
from uuid import UUID

from tests.conftest import Launch
from tests.running import OTHER_PASSWORD, PASSWORD, Running

from identity.domain.policy import Role
from identity.domain.session.recent import LIFETIME


async def test_what_this_process_changes_is_told_at_once(service: Running) -> None:
    """A refresh, another sign-in and a new password show in the very next answer."""
    email = await service.verified()
    first = (await service.login(email)).tokens
    before = await service.get_session(first.access_token)
    assert await service.get_session(first.access_token) == before

    service.clock.advance(minutes=1)
    await service.refresh(first.refresh_token)
    refreshed = await service.get_session(first.access_token)
    assert refreshed.session.last_used_at.seconds == before.session.last_used_at.seconds + 60
    assert refreshed.session.idle_expires_at.seconds == before.session.idle_expires_at.seconds + 60

    await service.login(email)
    assert (await service.get_session(first.access_token)).account.sign_ins.count == 2

    service.clock.advance(minutes=1)
    await service.change_password(first.access_token, PASSWORD, OTHER_PASSWORD)
    changed = await service.get_session(first.access_token)
    assert changed.account.updated_at.seconds > refreshed.account.updated_at.seconds


async def test_a_change_of_the_tenant_or_a_role_is_told_at_once(service: Running) -> None:
    """What many accounts share is as fresh as their own."""
    signed_in = await service.login(await service.verified(role="owner", tenant_name="Before"))
    token, database = signed_in.tokens.access_token, service.world.database
    tenant_id, now = UUID(signed_in.tenant.id), service.clock.now
    assert (await service.get_session(token)).tenant.name == "Before"

    database.write(lambda tx: tx.tenants.update(tenant_id, {"name": "After"}, now))
    assert (await service.get_session(token)).tenant.name == "After"

    account_id, role = UUID(signed_in.account.id), Role("keeper", "Keeper", 50)
    database.write(lambda tx: tx.roles.put(tenant_id, role, now))
    place = {"role": "keeper", "department_id": None, "team_ids": (), "now": now}
    database.write(lambda tx: tx.tenants.update_membership(account_id, tenant_id, **place))
    assert (await service.get_session(token)).membership.role.name == "Keeper"
    database.write(lambda tx: tx.roles.put(tenant_id, replace(role, name="Warden"), now))
    assert (await service.get_session(token)).membership.role.name == "Warden"


async def test_what_another_process_changes_is_told_within_a_second(launch: Launch) -> None:
    """A refresh on one replica shows on the other once what that one remembers is a second old."""
    here = await launch()
    there = await launch(database_url=here.database_url, clock=here.clock)
    tokens = (await here.signed_in()).tokens
    before = await there.get_session(tokens.access_token)

    here.clock.advance(minutes=1)
    await here.refresh(tokens.refresh_token)
    changed_at = asked_at = monotonic()
    while (await there.get_session(tokens.access_token)).session.last_used_at == before.session.last_used_at:
        assert asked_at - changed_at < LIFETIME
        await asyncio.sleep(0.02)
        asked_at = monotonic()
