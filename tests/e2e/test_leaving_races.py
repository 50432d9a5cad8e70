"""Ending sessions against everything that gives tokens, at the same time (F-09).

Once the call that ends them has returned, no new token is ever issued and no old one works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.message import Message
from sqlalchemy import select, text
from tests.e2e.test_gate import WAYS, Ready, Way, accept_as_a_member, switch_tenant, tokens_in
from tests.residents import Resident, invitation, join, resident
from tests.running import OTHER_PASSWORD, PASSWORD, Client, Metadata, Refusal, Running, bearer, outcome

from identity.domain.accounts import AccountStatus
from identity.domain.notices import new_reset_token
from identity.domain.sessions import EndReason, Session
from identity.domain.sign_in import announce, end_sessions
from identity.store.tables import one_time_tokens
from identity_pb.v1 import account_service_pb2 as account_pb
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import session_service_pb2 as sessions

ROUNDS = 4
NEW_ACCOUNTS = ("AuthService.Register", "AuthService.Setup")
MOVES: tuple[Way, ...] = (switch_tenant, accept_as_a_member)
Change = Callable[[Any], object]


async def assert_over(service: Running, answer: object) -> None:
    """Whatever tokens an answer gave, they are worth nothing."""
    for tokens in tokens_in(answer) if isinstance(answer, Message) else ():
        assert isinstance(await outcome(service.get_session(tokens.access_token)), Refusal)
        assert isinstance(await outcome(service.refresh(tokens.refresh_token)), Refusal)


class Scene:
    """A member of two tenants with a session, a choice of tenants and an invitation to a third one.

    Or of one, with a session: nobody else is disabled by a tenant (AZ-02).
    """

    def __init__(self, service: Running, owner: Resident, admin: Metadata, *, alone: bool) -> None:
        self.service, self.admin, self.alone = service, admin, alone
        self.who = resident(service, "user", owner.tenant)
        if alone:
            return
        self.other = join(service, self.who.account, "user")
        self.invitation = invitation(service, resident(service), self.who.email)

    @property
    def id(self) -> str:
        return str(self.who.account.id)

    async def begin(self) -> None:
        self.session = await self.service.login(self.who.email, tenant_slug=self.who.tenant.slug)
        if self.alone:
            return
        login = await self.service.auth.Login(auth.LoginRequest(identifier=self.who.email, password=PASSWORD))
        self.choice = login.tenant_choice.challenge_token

    def continue_on(self, one: Client, two: Client) -> list[Awaitable[Any]]:
        """What a session gives tokens for."""
        tokens = self.session.tokens
        if self.alone:
            return [one.refresh(tokens.refresh_token), two.refresh(tokens.refresh_token)]
        tenant_id = str(self.other.id)
        switch, accept = sessions.SwitchTenantRequest(tenant_id=tenant_id), invites.AcceptInviteRequest()
        accept.token = self.invitation
        return [
            one.refresh(tokens.refresh_token),
            two.sessions.SwitchTenant(switch, metadata=bearer(tokens.access_token)),
            one.invites.AcceptInvite(accept, metadata=bearer(tokens.access_token)),
            two.refresh(tokens.refresh_token),
        ]

    def enter_on(self, one: Client, two: Client) -> list[Awaitable[Any]]:
        """What the password gives tokens for."""
        login = one.login(self.who.email, tenant_slug=self.who.tenant.slug)
        if self.alone:
            return [login]
        select = auth.SelectTenantRequest(challenge_token=self.choice, tenant_id=str(self.other.id))
        return [login, two.auth.SelectTenant(select)]

    def is_elsewhere(self, answer: object) -> bool:
        """Whether somebody has moved on to another tenant before the end."""
        return isinstance(answer, sessions.SwitchTenantResponse | invites.AcceptInviteResponse)

    # What ends everything.

    async def disable(self, client: Client) -> None:
        request = account_pb.SetAccountStatusRequest(id=self.id, action=account_pb.ACCOUNT_ACTION_DISABLE)
        await client.accounts.SetAccountStatus(request, metadata=self.admin)

    async def delete(self, client: Client) -> None:
        await client.accounts.DeleteAccount(account_pb.DeleteAccountRequest(id=self.id), metadata=self.admin)

    async def change(self, client: Client) -> None:
        request = auth.ChangePasswordRequest(
            identifier=self.who.email, current_password=PASSWORD, new_password=OTHER_PASSWORD
        )
        await client.auth.ChangePassword(request)

    async def end_all(self, client: Client) -> None:
        request = sessions.RevokeSessionsRequest(account_id=self.id, selection=sessions.SESSION_SELECTION_ALL)
        await client.sessions.RevokeSessions(request, metadata=self.admin)


# Whether the password opens nothing any more either; a member who is removed may still be one elsewhere.
ENDS: dict[str, bool] = {"disable": True, "change": True, "delete": False, "end_all": False}


@pytest.mark.parametrize("end", ENDS)
async def test_F_09_after_the_end_no_token_of_before_is_worth_anything(service: Running, end: str) -> None:
    """Whatever meets the end succeeds before it or is refused; what it gave is dead, as is all that could follow."""
    owner = resident(service)
    admin = bearer((await service.login(owner.email)).tokens.access_token)
    async with service.clients(3) as (one, two, three):
        for _ in range(ROUNDS):
            scene = Scene(service, owner, admin, alone=end == "disable")
            await scene.begin()
            first, *rest = scene.continue_on(one, three)
            entries = scene.enter_on(one, three) if ENDS[end] else []
            answers = await at_once(first, *entries, getattr(scene, end)(two), *rest)
            assert not isinstance(answers[1 + len(entries)], Refusal)
            for answer in answers:
                # An administrator ends what goes on in their own tenant (AZ-02).
                if end != "end_all" or not scene.is_elsewhere(answer):
                    await assert_over(service, answer)
            again = [*scene.continue_on(one, two), *(scene.enter_on(one, two) if ENDS[end] else [])]
            assert all(isinstance(answer, Refusal) for answer in await at_once(*again))


# With barriers: what is in doubt above is forced here. One writer at a time, as SQLite has, leaves nothing in doubt.


class Barrier:
    """A unit of work that has done its part and is not committed until it is told to."""

    def __init__(self, service: Running, do: Change) -> None:
        if service.world.database.dialect == "sqlite":
            pytest.skip("one writer at a time: nobody waits for a row")
        self._service, self._do, self._go, self._held = service, do, Event(), Event()

    async def __aenter__(self) -> Barrier:
        self._holding = asyncio.create_task(asyncio.to_thread(self._service.world.database.write, self._hold))
        await asyncio.to_thread(self._held.wait, 10)
        return self

    def _hold(self, tx: Any) -> None:
        self._do(tx)
        self._held.set()
        assert self._go.wait(10)

    async def blocks(self, call: Awaitable[Any], waiting: int = 1) -> asyncio.Future[Any]:
        """A call that has begun, once so many wait for a lock or it is through."""
        begun = asyncio.ensure_future(outcome(call))
        while len(self._service.rows(_WAITING)) < waiting and not begun.done():
            await asyncio.sleep(0)
        return begun

    async def __aexit__(self, *_: object) -> None:
        self._go.set()
        await self._holding


_WAITING = text("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


@pytest.mark.parametrize(
    "way", [way for rpc in WAYS for way in WAYS[rpc] if rpc not in NEW_ACCOUNTS], ids=lambda way: way.__name__
)
async def test_F_09_N_05_whoever_waits_for_a_disabling_sees_it(service: Running, way: Way) -> None:
    """However far a call has come when the account is disabled, with a proven password or a right code in hand."""
    ready = await way(service)

    def disable(tx: Any) -> None:
        now = service.clock.now
        tx.accounts.update(ready.account.id, {"status": AccountStatus.DISABLED.value}, now)
        end_sessions(service.world, tx, ready.account.id, EndReason.ACCOUNT, now)

    async with Barrier(service, disable) as barrier:
        call = await barrier.blocks(ready.call())
    await assert_over(service, await call)
    assert isinstance(await outcome(ready.call()), Refusal)


@pytest.mark.parametrize("way", MOVES, ids=lambda way: way.__name__)
async def test_F_09_a_session_that_has_ended_is_not_moved(service: Running, way: Way) -> None:
    """A sign-out that is on its way when the new session is about to be written leaves nothing of either."""
    ready = await way(service)
    session_id = (await newest_session(service, ready)).id

    def sign_out(tx: Any) -> None:
        tx.sessions.revoke(session_id, now=service.clock.now, reason=EndReason.SIGNED_OUT)

    async with Barrier(service, sign_out) as barrier:
        call = await barrier.blocks(ready.call())
    refusal = await call
    assert isinstance(refusal, Refusal) and refusal.reason == "SESSION_REVOKED"


async def test_F_09_a_sign_out_also_ends_what_took_the_place_of_its_session(service: Running) -> None:
    """A sign-out that comes while the new session is being written waits for it, and ends that."""
    ready = await switch_tenant(service)
    leave = partial(service.sessions.SignOut, sessions.SignOutRequest(), metadata=ready.call.keywords["metadata"])

    async with Barrier(service, lambda tx: tx.tenants.hold(ready.tenant.id)) as barrier:
        moving = await barrier.blocks(ready.call())
        leaving = await barrier.blocks(leave(), waiting=2)
    moved = await moving
    assert not isinstance(moved, Refusal) and not isinstance(await leaving, Refusal)
    await assert_over(service, moved)


async def test_F_09_Z_22_no_push_device_is_left_on_a_session_that_is_over(service: Running) -> None:
    """One that is registered while its session is being ended waits for that, and is refused."""
    who = resident(service)
    session = await service.login(who.email)

    def sign_out(tx: Any) -> None:
        now = service.clock.now
        ended = tx.sessions.end_line(UUID(session.session.id), now=now, reason=EndReason.SIGNED_OUT)
        announce(service.world, tx, [ended], now)

    register = sessions.RegisterPushDeviceRequest(token="a phone", platform=sessions.PUSH_PLATFORM_IOS)
    async with Barrier(service, sign_out) as barrier:
        mine = bearer(session.tokens.access_token)
        call = await barrier.blocks(service.sessions.RegisterPushDevice(register, metadata=mine))
    refusal = await call
    assert isinstance(refusal, Refusal) and refusal.reason == "SESSION_REVOKED"
    assert service.world.database.read(lambda tx: tx.push_devices.of(who.account.id)) == []


async def test_RC_01_of_two_links_made_at_the_same_time_one_works(service: Running) -> None:
    """Whoever makes the later one waits for the earlier one, and ends it."""
    who = resident(service)

    def make(tx: Any) -> None:
        new_reset_token(service.world, tx, who.account, who.email, service.clock.now)

    async with Barrier(service, make):
        other = asyncio.create_task(asyncio.to_thread(service.world.database.write, make))
        while not service.rows(_WAITING) and not other.done():
            await asyncio.sleep(0)
    await other
    alive = (one_time_tokens.c.account_id == who.account.id, one_time_tokens.c.consumed_at.is_(None))
    assert len(service.rows(select(one_time_tokens.c.digest).where(*alive))) == 1


@pytest.mark.parametrize("by_id", [True, False], ids=["revoked", "signed out"])
async def test_F_09_the_session_that_was_replaced_stands_for_its_successor(service: Running, by_id: bool) -> None:
    """Also long after: whoever knows the old one, or holds its refresh token, ends the new one, and nothing else."""
    ready = await switch_tenant(service)
    old = (await newest_session(service, ready)).id
    token = service.world.refresh_tokens.issue(old, 0)
    moved = await ready.call()
    email, slug = ready.account.email or "", ready.tenant.slug
    other = (await service.login(email, tenant_slug=slug)).tokens.access_token
    for _ in range(2):
        if by_id:
            await service.sessions.RevokeSession(sessions.RevokeSessionRequest(id=str(old)), metadata=bearer(other))
        else:
            await service.sessions.SignOut(sessions.SignOutRequest(refresh_token=token))
        await assert_over(service, moved)
    await service.get_session(other)


async def test_F_09_ending_all_waits_for_the_session_that_is_being_opened(service: Running) -> None:
    """Nobody slips out of a sign-out everywhere by switching the tenant at the same moment."""
    ready = await switch_tenant(service)
    request = sessions.RevokeSessionsRequest(selection=sessions.SESSION_SELECTION_ALL)
    end_all = partial(service.sessions.RevokeSessions, request, metadata=ready.call.keywords["metadata"])

    async with Barrier(
        service, lambda tx: tx._connection.execute(text("LOCK TABLE revocations IN EXCLUSIVE MODE"))
    ) as barrier:
        switching = await barrier.blocks(ready.call())
        ending = await barrier.blocks(end_all(), waiting=2)
    switched = await switching
    assert not isinstance(switched, Refusal)
    assert not isinstance(await ending, Refusal)
    await assert_over(service, switched)


async def newest_session(service: Running, ready: Ready) -> Session:
    """The session that somebody began last."""
    now = service.clock.now
    read = service.world.database.read
    found: list[Session] = read(lambda tx: tx.sessions.live(ready.account.id, now=now, after=None, limit=1))
    return found[0]


async def at_once(*calls: Awaitable[Any]) -> Sequence[Any]:
    """What came of calls made at the same time, in their order."""
    return list(await asyncio.gather(*map(outcome, calls)))
