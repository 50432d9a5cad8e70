"""Sessions and devices: seeing them, ending them, and what backends learn of it (SE-06, JW-05, N-02, Z-22)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from tests.company import Person, company, in_two, member
from tests.running import Running, bearer, refused

from identity.domain.service_access import create_service_key, learn_service_keys, revoke_service_key
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as pb

Stream = AsyncIterator[pb.WatchRevocationsResponse]


async def test_SE_06_somebody_sees_and_ends_their_own_sessions(service: Running) -> None:
    """One, the others, or all; the current one is marked, and the rest is dead at once."""
    email = await service.verified()
    devices = [resources.Device(name=name) for name in ("one", "two", "three")]
    one, two, three = [Person(email, await service.login(email, device=device)) for device in devices]
    listed = await service.sessions.ListSessions(pb.ListSessionsRequest(), metadata=three.metadata)
    assert {(row.device.name, row.current) for row in listed.sessions} == {
        ("one", False),
        ("two", False),
        ("three", True),
    }
    for _ in range(2):
        request = pb.RevokeSessionRequest(id=one.session.session.id)
        await service.sessions.RevokeSession(request, metadata=three.metadata)
    assert await ended(service, one)
    others = pb.RevokeSessionsRequest(selection=pb.SESSION_SELECTION_OTHERS)
    assert (await service.sessions.RevokeSessions(others, metadata=three.metadata)).sessions_ended == 1
    assert await ended(service, two)
    everything = pb.RevokeSessionsRequest(selection=pb.SESSION_SELECTION_ALL)
    assert (await service.sessions.RevokeSessions(everything, metadata=three.metadata)).sessions_ended == 1
    assert await ended(service, three)


async def test_AZ_02_sessions_of_others_are_out_of_reach(service: Running) -> None:
    """A member ends nobody else's session, an administrator only those of the tenant and not above their level."""
    owner, stranger = await company(service), await company(service)
    plain, other = await member(service, owner), await member(service, owner)
    theirs = pb.RevokeSessionRequest(id=other.session.session.id)
    for caller in (plain, stranger):
        no = await refused(service.sessions.RevokeSession(theirs, metadata=caller.metadata))
        assert no.code is grpc.StatusCode.NOT_FOUND
    await service.sessions.RevokeSession(theirs, metadata=owner.metadata)
    assert await ended(service, other)
    every = pb.RevokeSessionsRequest(selection=pb.SESSION_SELECTION_ALL, account_id=plain.id)
    assert (await service.sessions.RevokeSessions(every, metadata=owner.metadata)).sessions_ended == 1


async def test_AZ_02_sessions_in_another_tenant_do_not_exist(service: Running) -> None:
    """Of somebody who belongs to two, an administrator sees and ends what goes on in their own; the person all."""
    email, one, two = await in_two(service)
    here = Person(email, await service.login(email, tenant_slug=one.session.tenant.slug))
    there = Person(email, await service.login(email, tenant_slug=two.session.tenant.slug))
    listing = pb.ListSessionsRequest(account_id=here.id)
    listed = (await service.sessions.ListSessions(listing, metadata=one.metadata)).sessions
    assert here.session.session.id in {row.id for row in listed}
    assert {row.tenant_id for row in listed} == {one.session.tenant.id}
    theirs = pb.RevokeSessionRequest(id=there.session.session.id)
    assert (await refused(service.sessions.RevokeSession(theirs, metadata=one.metadata))).reason == "NOT_FOUND"
    every = pb.RevokeSessionsRequest(selection=pb.SESSION_SELECTION_ALL, account_id=here.id)
    ended_here = (await service.sessions.RevokeSessions(every, metadata=one.metadata)).sessions_ended
    assert (ended_here, await ended(service, here)) == (len(listed), True)
    mine = (await service.sessions.ListSessions(pb.ListSessionsRequest(), metadata=there.metadata)).sessions
    assert there.session.session.id in {row.id for row in mine}


async def test_Z_22_a_push_token_moves_and_leaves_with_its_session(service: Running) -> None:
    """Whoever registers a token last has it; signing out forgets it; an account keeps twenty."""
    one, two = Person("", await service.signed_in()), Person("", await service.signed_in())
    device = pb.RegisterPushDeviceRequest(token="a push token", platform=pb.PUSH_PLATFORM_ANDROID)
    await service.sessions.RegisterPushDevice(device, metadata=one.metadata)
    await service.sessions.RegisterPushDevice(device, metadata=two.metadata)
    assert (await pushes(service, one), await pushes(service, two)) == (0, 1)
    await service.sessions.RemovePushDevice(pb.RemovePushDeviceRequest(token="a push token"), metadata=one.metadata)
    assert await pushes(service, two) == 1
    for number in range(21):
        request = pb.RegisterPushDeviceRequest(token=f"token {number}", platform=pb.PUSH_PLATFORM_WEB)
        await service.sessions.RegisterPushDevice(request, metadata=two.metadata)
    assert await pushes(service, two) == 20
    again = await service.login(await email_of(service, two))
    await service.sign_out(two.session.tokens.access_token)
    assert await pushes(service, Person("", again)) == 0


async def test_Z_22_an_account_registers_sixty_push_tokens_in_an_hour(service: Running) -> None:
    """The next one waits; what is registered stays."""
    person = Person("", await service.signed_in())
    device = pb.RegisterPushDeviceRequest(token="one of many", platform=pb.PUSH_PLATFORM_WEB)
    await service.sessions.RegisterPushDevice(device, metadata=person.metadata)
    service.set_failures("push", person.id, 59, minutes=60)
    await service.sessions.RegisterPushDevice(device, metadata=person.metadata)
    no = await refused(service.sessions.RegisterPushDevice(device, metadata=person.metadata))
    assert (no.reason, no.retry_after, await pushes(service, person)) == ("RATE_LIMITED", 60 * 60, 1)


async def test_JW_05_only_a_service_key_with_the_scope_introspects(service: Running) -> None:
    """No key, a person's token, a revoked key: unauthenticated. A key without the scope: denied."""
    token = (await service.signed_in()).tokens.access_token
    request = pb.IntrospectTokenRequest(token=token)
    watcher = key(service, "watcher", "session:watch")
    for metadata in ((), bearer(token), bearer("isk_nonsense")):
        no = await refused(service.sessions.IntrospectToken(request, metadata=metadata))
        assert no.code is grpc.StatusCode.UNAUTHENTICATED
    no = await refused(service.sessions.IntrospectToken(request, metadata=bearer(watcher)))
    assert no.code is grpc.StatusCode.PERMISSION_DENIED
    revoke_service_key(service.world, "watcher")
    learn_service_keys(service.world)
    no = await refused(service.sessions.IntrospectToken(request, metadata=bearer(watcher)))
    assert no.code is grpc.StatusCode.UNAUTHENTICATED


async def test_JW_05_what_is_not_active_is_not_active_and_nothing_else(service: Running) -> None:
    """Expired, ended, damaged and foreign tokens get one answer, byte for byte."""
    backend = bearer(key(service, "introspector", "token:introspect"))
    signed_in = await service.signed_in()
    token = signed_in.tokens.access_token

    async def introspect(value: str) -> pb.IntrospectTokenResponse:
        answer: pb.IntrospectTokenResponse = await service.sessions.IntrospectToken(
            pb.IntrospectTokenRequest(token=value), metadata=backend
        )
        return answer

    live = await introspect(token)
    assert live.active and live.account_id == signed_in.account.id and live.session_id == signed_in.session.id
    await service.sign_out(token)
    over = await introspect(token)
    fresh = (await service.signed_in()).tokens.access_token
    service.clock.advance(minutes=16)
    answers = [over, await introspect(fresh), await introspect(token[:-2]), await introspect("nonsense")]
    assert {answer.SerializeToString() for answer in answers} == {
        pb.IntrospectTokenResponse(active=False).SerializeToString()
    }


async def test_N_02_a_watcher_gets_a_snapshot_then_what_happens_and_goes_on_after_a_break(service: Running) -> None:
    """Everything an unexpired token could be under comes first; a cursor continues where the stream broke."""
    backend = bearer(key(service, "gateway", "session:watch"))
    before = await service.signed_in()
    await service.sign_out(before.tokens.access_token)
    call = service.sessions.WatchRevocations(pb.WatchRevocationsRequest(), metadata=backend)
    stream = call.__aiter__()
    seen = [message async for message in until_complete(stream)]
    assert before.session.id in {message.revocation.session_id for message in seen}
    assert all(message.snapshot for message in seen)

    live = await service.signed_in()
    await service.sign_out(live.tokens.access_token)
    message = await asyncio.wait_for(next_revocation(stream), 5)
    assert message.revocation.session_id == live.session.id
    assert message.revocation.reason == pb.REVOCATION_REASON_SIGNED_OUT and not message.snapshot
    call.cancel()

    missed = await service.signed_in()
    await service.sign_out(missed.tokens.access_token)
    call = service.sessions.WatchRevocations(pb.WatchRevocationsRequest(cursor=message.cursor), metadata=backend)
    stream = call.__aiter__()
    resumed = set()
    while missed.session.id not in resumed:
        resumed.add((await asyncio.wait_for(next_revocation(stream), 5)).revocation.session_id)
    call.cancel()


@pytest.mark.parametrize("cursor", ["x", "r1-", "r1-99999999999999999999", "r1-１"])
async def test_a_cursor_that_is_none_is_refused(service: Running, cursor: str) -> None:
    """What is no cursor of this stream names its field."""
    backend = bearer(key(service, f"probe {cursor!r}", "session:watch"))
    call = service.sessions.WatchRevocations(pb.WatchRevocationsRequest(cursor=cursor), metadata=backend)
    no = await refused(call.__aiter__().__anext__())
    assert (no.reason, no.fields) == ("INVALID_REQUEST", ["cursor"])


def key(service: Running, name: str, scope: str) -> str:
    """A new service key that the server knows."""
    token = create_service_key(service.world, name, [scope])
    learn_service_keys(service.world)
    return token


async def until_complete(
    stream: AsyncIterator[pb.WatchRevocationsResponse],
) -> AsyncIterator[pb.WatchRevocationsResponse]:
    async for message in stream:
        if message.WhichOneof("event") == "snapshot_complete":
            return
        yield message


async def next_revocation(stream: Stream) -> pb.WatchRevocationsResponse:
    async for message in stream:
        if message.WhichOneof("event") == "revocation":
            return message
    raise AssertionError("the stream ended")


async def ended(service: Running, person: Person) -> bool:
    return (await refused(service.get_session(person.session.tokens.access_token))).reason == "SESSION_REVOKED"


async def pushes(service: Running, person: Person) -> int:
    listed = await service.sessions.ListPushDevices(pb.ListPushDevicesRequest(), metadata=person.metadata)
    return len(listed.push_devices)


async def email_of(service: Running, person: Person) -> str:
    return str((await service.get_session(person.session.tokens.access_token)).account.email)
