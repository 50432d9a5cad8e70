"""Invitations: who may invite, what a token is good for, and the one end each invitation has (RC-07, F-05)."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

import grpc
import pytest
from sqlalchemy import select, update
from tests.company import Person, accept, company, invited, member
from tests.running import PASSWORD, Refusal, Running, new_email, outcome, outcomes, refused

from identity.domain.invite.manage import TENANT_INVITES
from identity.domain.tenants import NewMembership
from identity.store.tables import accounts as account_rows
from identity.store.tables import memberships as membership_rows
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import invite_service_pb2 as pb
from identity_pb.v1.account_service_pb2 import DeleteAccountRequest


async def test_AZ_01_inviting_needs_the_permission(service: Running) -> None:
    """A member whose role has no `invites` cannot invite."""
    plain = await member(service, await company(service))
    wish = pb.CreateInviteRequest(email=new_email(), role="user")
    no = await refused(service.invites.CreateInvite(wish, metadata=plain.metadata))
    assert (no.code, no.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")


async def test_AZ_03_nobody_grants_a_role_above_their_own(service: Running) -> None:
    """An owner (90) cannot make an administrator (100)."""
    owner = await company(service)
    wish = pb.CreateInviteRequest(email=new_email(), role="admin")
    no = await refused(service.invites.CreateInvite(wish, metadata=owner.metadata))
    assert no.reason == "PERMISSION_DENIED"
    unknown = await refused(
        service.invites.CreateInvite(pb.CreateInviteRequest(email=new_email(), role="king"), metadata=owner.metadata)
    )
    assert unknown.reason == "ROLE_NOT_ALLOWED"


async def test_AZ_02_a_foreign_invitation_does_not_exist(service: Running) -> None:
    """Another tenant's invitation is as absent as one that never was, for every call that names one."""
    one, two = await company(service), await company(service)
    wish = pb.CreateInviteRequest(email=new_email(), role="user")
    made = await service.invites.CreateInvite(wish, metadata=one.metadata)
    for invite_id in (made.invite.id, str(uuid4())):
        for call in (
            service.invites.GetInvite(pb.GetInviteRequest(id=invite_id), metadata=two.metadata),
            service.invites.ResendInvite(pb.ResendInviteRequest(id=invite_id), metadata=two.metadata),
            service.invites.RevokeInvite(pb.RevokeInviteRequest(id=invite_id), metadata=two.metadata),
        ):
            no = await refused(call)
            assert (no.code, no.reason) == (grpc.StatusCode.NOT_FOUND, "INVITE_NOT_FOUND")


async def test_F_05_N_08_one_of_32_parallel_accepts_joins(service: Running) -> None:
    """The winner makes the account, with one membership; every loser is told, and only one password is right."""
    email, token = await invited(service, await company(service))
    passwords = [f"{PASSWORD} {number}" for number in range(32)]
    async with service.clients(8) as clients:
        calls = (clients[n % 8].invites.AcceptInvite(accept(token, passwords[n])) for n in range(32))
        answers = await asyncio.gather(*map(outcome, calls))
    (winner,) = (n for n, answer in enumerate(answers) if not isinstance(answer, Refusal))
    assert {answer.reason for answer in answers if isinstance(answer, Refusal)} == {"INVITE_USED"}
    account = service.account(email)
    right = [service.world.passwords.verify(password, account.password_hash) for password in passwords]
    assert right == [n == winner for n in range(32)]
    await service.login(email, passwords[winner])
    assert (await refused(service.login(email, passwords[winner - 1]))).reason == "INVALID_CREDENTIALS"
    assert len(service.rows(select(membership_rows).where(membership_rows.c.account_id == account.id))) == 1
    assert (service.events("invite_accepted", email), service.events("account_registered", email)) == (1, 0)


async def test_RC_06_looking_at_an_invitation_never_uses_it_up(service: Running) -> None:
    """A hundred looks, then the answer works."""
    _, token = await invited(service, await company(service))
    for _ in range(100):
        await service.invites.ValidateInvite(pb.ValidateInviteRequest(token=token))
    await service.invites.AcceptInvite(accept(token))


@pytest.mark.parametrize(("seconds", "reason"), [(-1, None), (0, "INVITE_EXPIRED")])
async def test_RC_02_N_26_an_invitation_ends_exactly_after_seven_days(
    service: Running, seconds: int, reason: str | None
) -> None:
    """A second before the end it holds, at the end it does not, without any sweep."""
    _, token = await invited(service, await company(service))
    service.clock.advance(days=7, seconds=seconds)
    if reason is None:
        await service.invites.AcceptInvite(accept(token))
    else:
        assert (await refused(service.invites.AcceptInvite(accept(token)))).reason == reason


async def test_RC_07_the_inviters_right_is_checked_again(service: Running) -> None:
    """Who was demoted or disabled after inviting cannot let anybody in any more."""
    for table, key, values in (
        (membership_rows, membership_rows.c.account_id, {"role": "user"}),
        (account_rows, account_rows.c.id, {"status": "disabled"}),
    ):
        owner = await company(service)
        _, token = await invited(service, owner)
        service.execute(update(table).where(key == UUID(owner.id)).values(values))
        no = await refused(service.invites.AcceptInvite(accept(token)))
        assert (no.code, no.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INVITE_VOID")


async def test_a_newer_invitation_supersedes_and_resending_rotates(service: Running) -> None:
    """There is one pending invitation for an address, with one live token."""
    owner = await company(service)
    email, first = await invited(service, owner)
    service.clock.advance(seconds=61)
    made = await service.invites.CreateInvite(pb.CreateInviteRequest(email=email, role="user"), metadata=owner.metadata)
    second = await service.mailbox.token(email, 2)
    assert (
        await refused(service.invites.ValidateInvite(pb.ValidateInviteRequest(token=first)))
    ).reason == "INVITE_USED"
    service.clock.advance(seconds=61)
    await service.invites.ResendInvite(pb.ResendInviteRequest(id=made.invite.id), metadata=owner.metadata)
    third = await service.mailbox.token(email, 3)
    old = await refused(service.invites.ValidateInvite(pb.ValidateInviteRequest(token=second)))
    assert old.reason == "INVITE_NOT_FOUND"
    await service.invites.AcceptInvite(accept(third))


async def test_declining_and_revoking_end_an_invitation_and_block_no_new_one(service: Running) -> None:
    """Each end is final, is told truthfully, and leaves the way open."""
    owner = await company(service)
    email, token = await invited(service, owner)
    await service.invites.DeclineInvite(pb.DeclineInviteRequest(token=token))
    assert (await refused(service.invites.AcceptInvite(accept(token)))).reason == "INVITE_USED"
    service.clock.advance(seconds=61)
    made = await service.invites.CreateInvite(pb.CreateInviteRequest(email=email, role="user"), metadata=owner.metadata)
    for _ in range(2):
        revoked = await service.invites.RevokeInvite(pb.RevokeInviteRequest(id=made.invite.id), metadata=owner.metadata)
        assert revoked.invite.status == pb.INVITE_STATUS_REVOKED
    service.clock.advance(seconds=61)
    await invited_again(service, owner, email)


async def test_an_address_that_has_an_account_signs_in_to_accept(service: Running) -> None:
    """Nobody sets a password for somebody who is here already; the caller's own address decides."""
    owner = await company(service)
    known = await service.verified()
    _, token = await invited(service, owner, email=known)
    no = await refused(service.invites.AcceptInvite(accept(token)))
    assert (no.code, no.reason) == (grpc.StatusCode.UNAUTHENTICATED, "SIGN_IN_REQUIRED")
    stranger = Person("", await service.signed_in())
    other = await refused(service.invites.AcceptInvite(pb.AcceptInviteRequest(token=token), metadata=stranger.metadata))
    assert other.reason == "INVITE_EMAIL_MISMATCH"
    guest = Person(known, await service.login(known))
    joined = await service.invites.AcceptInvite(pb.AcceptInviteRequest(token=token), metadata=guest.metadata)
    assert joined.session.tenant.id == owner.session.tenant.id
    assert (await refused(service.get_session(guest.session.tokens.access_token))).reason == "SESSION_REVOKED"


async def test_RC_08_an_invitation_takes_over_an_unproven_account(service: Running) -> None:
    """A squatter who registered the address first loses it to whoever reads its mail."""
    owner = await company(service)
    squatted = await service.registered()
    await service.mailbox.wait(squatted)
    service.clock.advance(seconds=61)
    await service.invites.CreateInvite(
        pb.CreateInviteRequest(email=squatted, role="user", locale="en"), metadata=owner.metadata
    )
    token = await service.mailbox.token(squatted, 2)
    await service.invites.AcceptInvite(accept(token, "the owner's own passphrase"))
    no = await refused(service.auth.Login(auth.LoginRequest(identifier=squatted, password=PASSWORD)))
    assert no.reason == "INVALID_CREDENTIALS"
    await service.login(squatted, "the owner's own passphrase")


async def test_AZ_07_pages_hold_everything_once_and_their_tokens_are_ours(service: Running) -> None:
    """Five invitations in pages of two, newest first; a forged or foreign token is refused."""
    owner = await company(service)
    for _ in range(5):
        wish = pb.CreateInviteRequest(email=new_email(), role="user")
        await service.invites.CreateInvite(wish, metadata=owner.metadata)
        service.clock.advance(seconds=1)
    seen: list[str] = []
    token = ""
    while True:
        page = await service.invites.ListInvites(
            pb.ListInvitesRequest(page_size=2, page_token=token), metadata=owner.metadata
        )
        seen += [invite.email for invite in page.invites]
        if not page.next_page_token:
            break
        token = page.next_page_token
    assert len(seen) == len(set(seen)) == 5
    for forged in (token[:-2] + "AA", "x", token + "A"):
        request = pb.ListInvitesRequest(page_size=2, page_token=forged)
        no = await refused(service.invites.ListInvites(request, metadata=owner.metadata))
        assert (no.reason, no.fields) == ("INVALID_REQUEST", ["page_token"])
    other = await company(service)
    foreign = pb.ListInvitesRequest(page_size=2, page_token=token)
    assert (await refused(service.invites.ListInvites(foreign, metadata=other.metadata))).reason == "INVALID_REQUEST"


async def test_an_invitation_that_had_its_end_is_neither_sent_again_nor_taken_back(service: Running) -> None:
    """Who has joined stays, and no new token comes of the old invitation."""
    owner = await company(service)
    email, token = await invited(service, owner)
    await service.invites.AcceptInvite(accept(token))
    listed = await service.invites.ListInvites(pb.ListInvitesRequest(email=email), metadata=owner.metadata)
    (invite_id,) = (invite.id for invite in listed.invites)
    service.clock.advance(seconds=61)
    for call in (
        service.invites.ResendInvite(pb.ResendInviteRequest(id=invite_id), metadata=owner.metadata),
        service.invites.RevokeInvite(pb.RevokeInviteRequest(id=invite_id), metadata=owner.metadata),
    ):
        no = await refused(call)
        assert (no.reason, no.fields) == ("INVITE_USED", ["id"])


async def test_a_member_is_not_invited_and_does_not_join_twice(service: Running) -> None:
    """Neither while inviting, nor with an invitation from before they came in by another way."""
    owner, known = await company(service), await service.verified()
    guest = Person(known, await service.login(known))
    _, token = await invited(service, owner, email=known)
    membership = NewMembership(UUID(guest.id), UUID(owner.session.tenant.id), "user", service.clock.now)
    service.world.database.write(lambda tx: tx.tenants.add_membership(membership) and None)
    again = pb.CreateInviteRequest(email=known, role="user")
    assert (await refused(service.invites.CreateInvite(again, metadata=owner.metadata))).reason == "ALREADY_MEMBER"
    join = pb.AcceptInviteRequest(token=token)
    assert (await refused(service.invites.AcceptInvite(join, metadata=guest.metadata))).reason == "ALREADY_MEMBER"
    await service.invites.ValidateInvite(pb.ValidateInviteRequest(token=token))


async def test_PW_01_a_newcomer_needs_a_password(service: Running) -> None:
    """Without one the invitation is kept."""
    _, token = await invited(service, await company(service))
    no = await refused(service.invites.AcceptInvite(pb.AcceptInviteRequest(token=token, first_name="Jane")))
    assert (no.reason, no.fields) == ("INVALID_REQUEST", ["password"])
    await service.invites.AcceptInvite(accept(token))


async def test_LG_04_a_tenant_invites_so_often_in_a_day_and_an_address_once_in_a_minute(service: Running) -> None:
    """Each refusal says how long it lasts, and the second one whom it is about."""
    owner = await company(service)
    email, _ = await invited(service, owner)
    again = pb.CreateInviteRequest(email=email, role="user")
    no = await refused(service.invites.CreateInvite(again, metadata=owner.metadata))
    assert (no.reason, no.retry_after, no.fields) == ("RATE_LIMITED", 60, ["email"])
    service.set_failures("invites", owner.session.tenant.id, TENANT_INVITES.limit - 1, minutes=60)
    await service.invites.CreateInvite(pb.CreateInviteRequest(email=new_email(), role="user"), metadata=owner.metadata)
    other = pb.CreateInviteRequest(email=new_email(), role="user")
    no = await refused(service.invites.CreateInvite(other, metadata=owner.metadata))
    assert (no.reason, no.retry_after, no.fields) == ("RATE_LIMITED", TENANT_INVITES.period.total_seconds(), [])


async def test_AZ_07_a_page_token_has_one_spelling(service: Running) -> None:
    """What a lenient decoder would take for the same is none of ours."""
    owner = await company(service)
    for _ in range(2):
        await invited(service, owner)
    ask = pb.ListInvitesRequest(page_size=1)
    token = (await service.invites.ListInvites(ask, metadata=owner.metadata)).next_page_token
    for other in (token[:5] + "!" + token[5:], token.replace("-", "+").replace("_", "/") + "=", token + "===="):
        no = await refused(
            service.invites.ListInvites(pb.ListInvitesRequest(page_size=1, page_token=other), metadata=owner.metadata)
        )
        assert (no.reason, no.fields) == ("INVALID_REQUEST", ["page_token"])


async def test_two_invitations_to_one_address_at_once_are_one(service: Running) -> None:
    """The other is told to wait, as if it had come a moment later."""
    owner = await company(service)
    async with service.clients(4) as clients:
        for _ in range(4):
            wish = pb.CreateInviteRequest(email=new_email(), role="user")
            calls = [client.invites.CreateInvite(wish, metadata=owner.metadata) for client in clients]
            answers, refusals = await outcomes(calls)
            assert (len(answers), [refusal.reason for refusal in refusals]) == (1, ["RATE_LIMITED"] * 3)


async def test_N_19_who_sends_an_invitation_again_stands_for_one_who_is_gone(service: Running) -> None:
    """Whoever is deleted leaves no name in what they sent, and a colleague can make it good again."""
    owner = await company(service)
    gone = await member(service, owner, "owner")
    email, _ = await invited(service, gone)
    leave = DeleteAccountRequest(id=gone.id)
    await service.accounts.DeleteAccount(leave, metadata=owner.metadata)
    ask = pb.ListInvitesRequest(email=email)
    (left,) = (await service.invites.ListInvites(ask, metadata=owner.metadata)).invites
    assert (left.invited_by, left.HasField("invited_by_id")) == ("", False)
    service.clock.advance(seconds=61)
    again = await service.invites.ResendInvite(pb.ResendInviteRequest(id=left.id), metadata=owner.metadata)
    assert again.invite.invited_by_id == owner.id
    await service.invites.AcceptInvite(accept(await service.mailbox.token(email, 2)))


async def invited_again(service: Running, owner: Person, email: str) -> None:
    """One more invitation to an address, and its acceptance."""
    await service.invites.CreateInvite(
        pb.CreateInviteRequest(email=email, role="user", locale="en"), metadata=owner.metadata
    )
    await service.invites.AcceptInvite(accept(await service.mailbox.token(email, 3)))
