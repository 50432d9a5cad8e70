"""F-19: what was done and whose answer was lost can be asked for again, safely, and the answer is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import grpc
import pytest_asyncio
from tests.company import accept, company, invited, member
from tests.conftest import Launch
from tests.faults.conftest import Nodes
from tests.relay import Relay
from tests.running import (
    OTHER_PASSWORD,
    PASSWORD,
    Client,
    Refusal,
    Running,
    bearer,
    new_email,
    outcome,
)
from tests.second_factor import challenged, enrolled, verify

from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import session_service_pb2 as sessions


@dataclass(frozen=True)
class Caller:
    """A client whose answers can be lost on their way from a service."""

    service: Running
    relay: Relay
    client: Client

    async def twice(self, call: Callable[[Client], Awaitable[Any]], is_done: Callable[[], Any]) -> Any:
        """Make a call whose answer is lost once it is done, and again; what came of it the second time."""
        await self.client.sessions.GetJwks(sessions.GetJwksRequest())  # connected, and nothing more to agree on
        self.relay.mute()
        lost = asyncio.ensure_future(outcome(call(self.client)))
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(is_done):
                assert not lost.done()
                await asyncio.sleep(0.01)
        self.relay.cut()
        refusal = await lost
        assert isinstance(refusal, Refusal)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "")
        return await outcome(call(self.service))  # on another connection

    def happened(self, event: str, of: str | UUID | None = None) -> Callable[[], bool]:
        """Says whether something has happened once more than before."""
        before = self.service.events(event, of)
        return lambda: self.service.events(event, of) > before


@pytest_asyncio.fixture
async def caller(nodes: Nodes) -> AsyncIterator[Caller]:
    with Relay(nodes.one.service.address) as relay:
        async with grpc.aio.insecure_channel(relay.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            yield Caller(nodes.one, relay, Client(channel))


async def test_F_19_a_refresh_gives_the_same_successor_again(caller: Caller) -> None:
    service = caller.service
    signed_in = await service.signed_in()
    token, session_id = signed_in.tokens.refresh_token, UUID(signed_in.session.id)

    def is_rotated() -> bool:
        return bool(service.world.database.read(lambda tx: tx.sessions.get(session_id)).counter)

    answer = await caller.twice(lambda client: client.refresh(token), is_rotated)
    assert answer.reused
    assert not (await service.refresh(answer.tokens.refresh_token)).reused


async def test_F_19_a_sign_out_is_one_sign_out(caller: Caller) -> None:
    service = caller.service
    signed_in = await service.signed_in()
    request = sessions.SignOutRequest(refresh_token=signed_in.tokens.refresh_token)
    signed_out = caller.happened("signed_out", UUID(signed_in.account.id))
    answer = await caller.twice(lambda client: client.sessions.SignOut(request), signed_out)
    assert answer == sessions.SignOutResponse()
    assert service.events("signed_out", UUID(signed_in.account.id)) == 1


async def test_F_19_a_push_device_is_registered_once(caller: Caller) -> None:
    signed_in = await caller.service.signed_in()
    metadata = bearer(signed_in.tokens.access_token)
    request = sessions.RegisterPushDeviceRequest(token=f"push {new_email()}", platform=sessions.PUSH_PLATFORM_IOS)
    answer = await caller.twice(
        lambda client: client.sessions.RegisterPushDevice(request, metadata=metadata),
        caller.happened("push_device_registered", UUID(signed_in.account.id)),
    )
    listed = await caller.service.sessions.ListPushDevices(sessions.ListPushDevicesRequest(), metadata=metadata)
    assert [device.id for device in listed.push_devices] == [answer.push_device.id]


async def test_F_19_a_registration_is_one_account_with_one_link(caller: Caller) -> None:
    """The second answer looks like the first would have; the address is proven with the one link that was mailed."""
    service, email = caller.service, new_email()
    request = auth.RegisterRequest(email=email, password=PASSWORD)
    registered = caller.happened("account_registered")
    answer = await caller.twice(lambda client: client.auth.Register(request), registered)
    assert answer.account.email == email
    token = await service.mailbox.token(email)
    await service.auth.VerifyEmail(auth.VerifyEmailRequest(token=token))
    await service.login(email)
    assert service.events("account_registered", email) == 1


async def test_F_19_a_link_that_did_its_work_says_so(caller: Caller) -> None:
    """LINK_USED is the truth about a proof and about a reset, and both have happened."""
    service = caller.service
    email = await service.registered()
    proof = auth.VerifyEmailRequest(token=await service.mailbox.token(email))
    answer = await caller.twice(lambda client: client.auth.VerifyEmail(proof), caller.happened("email_verified", email))
    assert answer.reason == "LINK_USED"
    await service.login(email)

    token = await service.reset_token(email)
    answer = await caller.twice(lambda client: client.reset(token), caller.happened("password_reset", email))
    assert answer.reason == "LINK_USED"
    await service.login(email, OTHER_PASSWORD)


async def test_F_19_a_new_password_is_the_password(caller: Caller) -> None:
    """The current one was replaced, so that it is wrong; the one that was wished for opens a session."""
    service, email = caller.service, await caller.service.verified()
    request = auth.ChangePasswordRequest(identifier=email, current_password=PASSWORD, new_password=OTHER_PASSWORD)
    changed = caller.happened("password_changed", email)
    answer = await caller.twice(lambda client: client.auth.ChangePassword(request), changed)
    assert answer.reason == "INVALID_CREDENTIALS"
    await service.login(email, OTHER_PASSWORD)


async def test_F_19_an_invitation_is_answered_once(caller: Caller) -> None:
    """A second mail has to wait for a minute, and the first stands; accepted again, it is used, and opens a session."""
    service = caller.service
    owner, guest = await company(service), new_email()
    wish = invites.CreateInviteRequest(email=guest, role="user", locale="en")
    answer = await caller.twice(
        lambda client: client.invites.CreateInvite(wish, metadata=owner.metadata), caller.happened("invite_created")
    )
    assert (answer.reason, answer.retry_after) == ("RATE_LIMITED", 60)
    pending = await service.invites.ListInvites(invites.ListInvitesRequest(), metadata=owner.metadata)
    assert [invite.status for invite in pending.invites].count(invites.INVITE_STATUS_PENDING) == 1

    email, token = await invited(service, owner)
    accepted = caller.happened("invite_accepted")
    answer = await caller.twice(lambda client: client.invites.AcceptInvite(accept(token)), accepted)
    assert answer.reason == "INVITE_USED"
    await service.login(email)


async def test_F_19_a_second_factor_is_proven_once_and_asked_for_again(caller: Caller) -> None:
    """The session whose tokens were lost is nobody's; a new sign-in with the next code opens another."""
    service = caller.service
    person = await enrolled(service)
    service.clock.advance(minutes=5)
    answer_of = verify(await challenged(service, person.email), totp=person.code(service))
    signed_in = caller.happened("signed_in", person.email)
    answer = await caller.twice(lambda client: client.auth.VerifyOtp(answer_of), signed_in)
    assert isinstance(answer, Refusal)
    assert answer.reason in ("TOKEN_INVALID", "TOKEN_EXPIRED")
    service.clock.advance(minutes=1)
    again = verify(await challenged(service, person.email), totp=person.code(service))
    await service.auth.VerifyOtp(again)


async def test_F_19_somebody_who_was_deleted_is_gone(caller: Caller) -> None:
    service = caller.service
    owner = await company(service)
    person = await member(service, owner)
    request = accounts.DeleteAccountRequest(id=person.id)
    answer = await caller.twice(
        lambda client: client.accounts.DeleteAccount(request, metadata=owner.metadata),
        caller.happened("account_deleted"),
    )
    assert answer.reason == "NOT_FOUND"


async def test_F_19_the_first_run_is_done(launch: Launch) -> None:
    service = await launch()
    request = auth.SetupRequest(email=new_email(), password=PASSWORD, tenant_name="Harbour Works")
    with Relay(service.service.address) as relay:
        async with grpc.aio.insecure_channel(relay.address) as channel:
            caller = Caller(service, relay, Client(channel))
            done = caller.happened("setup_completed")
            answer = await caller.twice(lambda client: client.auth.Setup(request), done)
    assert answer.reason == "SETUP_DONE"
    await service.login(request.email)
