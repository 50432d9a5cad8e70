"""SE-04: whatever ends a session on one node, another refuses its access token within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pyotp
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from tests.company import Person, company, member
from tests.faults.conftest import Nodes
from tests.running import OTHER_PASSWORD, PASSWORD, WRONG_PASSWORD, Refusal, Running, outcome, refused
from tests.stopwatch import Stopwatch

from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions
from identity_pb.v1 import tenant_service_pb2 as tenants

WITHIN = 1.0

End = Callable[[Running, Person, Person], Awaitable[object]]


async def sign_out(node: Running, person: Person, owner: Person) -> None:
    await node.sign_out(person.session.tokens.access_token)


async def sign_out_by_refresh_token(node: Running, person: Person, owner: Person) -> None:
    request = sessions.SignOutRequest(refresh_token=person.session.tokens.refresh_token)
    await node.sessions.SignOut(request)


async def revoke_one(node: Running, person: Person, owner: Person) -> None:
    request = sessions.RevokeSessionRequest(id=person.session.session.id)
    await node.sessions.RevokeSession(request, metadata=(await again(node, person)).metadata)


async def revoke_others(node: Running, person: Person, owner: Person) -> None:
    request = sessions.RevokeSessionsRequest(selection=sessions.SESSION_SELECTION_OTHERS)
    await node.sessions.RevokeSessions(request, metadata=(await again(node, person)).metadata)


async def revoke_by_administrator(node: Running, person: Person, owner: Person) -> None:
    request = sessions.RevokeSessionsRequest(selection=sessions.SESSION_SELECTION_ALL, account_id=person.id)
    await node.sessions.RevokeSessions(request, metadata=owner.metadata)


async def reset(node: Running, person: Person, owner: Person) -> None:
    await node.reset(await node.reset_token(person.email))


async def change(node: Running, person: Person, owner: Person) -> None:
    elsewhere = await again(node, person)
    await node.change_password(elsewhere.session.tokens.access_token, PASSWORD, OTHER_PASSWORD)


async def enrol_a_factor(node: Running, person: Person, owner: Person) -> None:
    elsewhere = await again(node, person)
    begin = factors.BeginTotpEnrollmentRequest(current_password=PASSWORD)
    begun = await node.factors.BeginTotpEnrollment(begin, metadata=elsewhere.metadata)
    code = pyotp.TOTP(begun.secret).at(node.clock.now)
    confirm = factors.ConfirmTotpEnrollmentRequest(enrollment_token=begun.enrollment_token, code=code)
    await node.factors.ConfirmTotpEnrollment(confirm, metadata=elsewhere.metadata)


async def reuse(node: Running, person: Person, owner: Person) -> None:
    token = person.session.tokens.refresh_token
    await node.refresh(token)
    node.clock.advance(seconds=11)
    assert (await refused(node.refresh(token))).reason == "TOKEN_REUSED"


async def disable(node: Running, person: Person, owner: Person) -> None:
    request = accounts.SetAccountStatusRequest(id=person.id, action=accounts.ACCOUNT_ACTION_DISABLE)
    await node.accounts.SetAccountStatus(request, metadata=owner.metadata)


async def delete(node: Running, person: Person, owner: Person) -> None:
    await node.accounts.DeleteAccount(accounts.DeleteAccountRequest(id=person.id), metadata=owner.metadata)


async def give_another_role(node: Running, person: Person, owner: Person) -> None:
    changes = accounts.AccountChanges(role="owner")
    request = accounts.UpdateAccountRequest(id=person.id, changes=changes, update_mask=FieldMask(paths=["role"]))
    await node.accounts.UpdateAccount(request, metadata=owner.metadata)


CAUSES: list[End] = [
    sign_out,
    sign_out_by_refresh_token,
    revoke_one,
    revoke_others,
    revoke_by_administrator,
    reset,
    change,
    enrol_a_factor,
    reuse,
    disable,
    delete,
    give_another_role,
]


WAITED_FOR = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"


async def again(node: Running, person: Person) -> Person:
    """The same person on another device."""
    return Person(person.email, await node.login(person.email))


async def use(node: Running, person: Person) -> Refusal | None:
    """A call that looks at nothing but the token: what the token was refused with, if it was."""
    answer = await outcome(node.sessions.ListPushDevices(sessions.ListPushDevicesRequest(), metadata=person.metadata))
    return answer if isinstance(answer, Refusal) else None


async def refused_within_a_second(node: Running, person: Person) -> None:
    with Stopwatch() as watch:
        while (refusal := await use(node, person)) is None:
            assert watch.seconds < WITHIN, "the token of an ended session still works"
            await asyncio.sleep(0.02)
    assert refusal.reason == "SESSION_REVOKED"


@pytest.mark.parametrize("end", CAUSES, ids=lambda end: end.__name__)
async def test_SE_04_every_end_of_a_session_counts_on_the_other_node(nodes: Nodes, end: End) -> None:
    """Once the call has returned, the other node takes the token for a second at most, and then never again."""
    owner = await company(nodes.one)
    person = await member(nodes.one, owner)
    assert await use(nodes.two, person) is None

    await end(nodes.one, person, owner)

    await refused_within_a_second(nodes.two, person)
    for node in (nodes.one, nodes.two):
        refusal = await refused(node.refresh(person.session.tokens.refresh_token))
        assert refusal.reason in ("SESSION_REVOKED", "TOKEN_INVALID")  # of one that was deleted nothing is left


@pytest.mark.parametrize("fresh_database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("end", [sign_out, sign_out_by_refresh_token, reuse, revoke_by_administrator, disable])
async def test_F_09_whoever_ends_a_session_holds_the_account_first(nodes: Nodes, end: End) -> None:
    """In one order, so that nobody waits in a circle, which PostgreSQL would only notice after a second."""
    owner = await company(nodes.one)
    person = await member(nodes.one, owner)
    with psycopg.connect(nodes.one.database_url) as holder:
        holder.execute("SELECT FROM accounts WHERE id = %s FOR NO KEY UPDATE", [person.id])
        ending = asyncio.ensure_future(end(nodes.one, person, owner))
        async with asyncio.timeout(10):
            while holder.execute(WAITED_FOR).fetchone() != (True,):
                await asyncio.sleep(0.005)
        holder.execute("SELECT FROM sessions WHERE account_id = %s FOR UPDATE NOWAIT", [person.id])
    await ending


async def test_SE_04_a_role_with_another_level_counts_on_the_other_node(nodes: Nodes) -> None:
    """Older access tokens say the old level and are refused; the session goes on, and its next token says the new."""
    one, two = nodes.one, nodes.two
    owner = await company(one)
    role = tenants.PutRoleRequest(key="scout", name="Scout", level=20)
    await one.tenants.PutRole(role, metadata=owner.metadata)
    scout = await member(one, owner, "scout")
    assert await use(two, scout) is None

    one.clock.advance(seconds=2)  # tokens say when they were issued in whole seconds
    role.level = 15
    await one.tenants.PutRole(role, metadata=owner.metadata)

    await refused_within_a_second(two, scout)
    refreshed = await two.refresh(scout.session.tokens.refresh_token)
    session = await two.get_session(refreshed.tokens.access_token)
    assert session.membership.role.level == 15


async def test_LG_03_guesses_end_no_session_on_either_node(nodes: Nodes) -> None:
    """The hundredth failure locks the password on both nodes, and what its owner has open goes on."""
    one, two = nodes.one, nodes.two
    email = await one.verified()
    person = Person(email, await one.login(email))
    await refused(one.login(email, WRONG_PASSWORD))
    one.set_failures("password", person.id, 99)
    await refused(one.login(email, WRONG_PASSWORD))
    one.clock.advance(days=1)
    for node in (one, two):
        assert (await refused(node.login(email))).reason == "INVALID_CREDENTIALS"
    refreshed = await two.refresh(person.session.tokens.refresh_token)
    assert await use(one, Person(email, resources.SessionResult(tokens=refreshed.tokens))) is None
