"""Accounts: who may see, change, disable and delete whom (AZ-02, AZ-03, N-18, N-19)."""

from __future__ import annotations

from uuid import UUID, uuid4

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import update
from tests.company import company, in_two, member
from tests.running import PASSWORD, Running, bearer, new_email, outcomes, refused

from identity.store.tables import accounts as account_rows
from identity_pb.v1 import account_service_pb2 as pb
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions
from identity_pb.v1.invite_service_pb2 import CreateInviteRequest
from identity_pb.v1.tenant_service_pb2 import PutRoleRequest


async def test_AZ_02_accounts_of_another_tenant_do_not_exist(service: Running) -> None:
    """Every call that names an account answers alike for a foreign one and for none at all."""
    one, two = await company(service), await company(service)
    theirs = await member(service, two)
    for account_id in (theirs.id, str(uuid4())):
        for call in (
            service.accounts.GetAccount(pb.GetAccountRequest(id=account_id), metadata=one.metadata),
            service.accounts.UpdateAccount(rename(account_id, "Mallory"), metadata=one.metadata),
            service.accounts.SetAccountStatus(disable(account_id), metadata=one.metadata),
            service.accounts.DeleteAccount(pb.DeleteAccountRequest(id=account_id), metadata=one.metadata),
            service.sessions.ListSessions(sessions.ListSessionsRequest(account_id=account_id), metadata=one.metadata),
        ):
            assert (await refused(call)).code is grpc.StatusCode.NOT_FOUND
    listed = await service.accounts.ListAccounts(pb.ListAccountsRequest(), metadata=one.metadata)
    assert [row.account.id for row in listed.members] == [one.id]


async def test_AZ_02_what_somebody_is_everywhere_no_tenant_decides_alone(service: Running) -> None:
    """Whoever belongs to another tenant too is not disabled, unlocked or renamed in one."""
    email, one, _ = await in_two(service)
    guest = str(service.account(email).id)
    actions = (pb.ACCOUNT_ACTION_DISABLE, pb.ACCOUNT_ACTION_ENABLE, pb.ACCOUNT_ACTION_UNLOCK)
    for call in (
        service.accounts.UpdateAccount(rename(guest, "Mallory"), metadata=one.metadata),
        *(
            service.accounts.SetAccountStatus(
                pb.SetAccountStatusRequest(id=guest, action=action), metadata=one.metadata
            )
            for action in actions
        ),
    ):
        no = await refused(call)
        assert (no.reason, no.fields) == ("PERMISSION_DENIED", ["id"])
    await service.accounts.UpdateAccount(give_role(guest, "owner"), metadata=one.metadata)
    left = await service.accounts.DeleteAccount(pb.DeleteAccountRequest(id=guest), metadata=one.metadata)
    assert not left.erased
    await service.login(email)


async def test_Z_01_only_the_account_itself_reads_when_and_from_where_it_signs_in(service: Running) -> None:
    """Nor does an administrator learn since when guesses have locked it, whichever call shows the account."""
    owner = await company(service)
    person = await member(service, owner)
    mine = await service.accounts.GetAccount(pb.GetAccountRequest(id=person.id), metadata=person.metadata)
    assert mine.account.sign_ins.count == 1
    locked = update(account_rows).where(account_rows.c.id == UUID(person.id))
    service.execute(locked.values(locked_at=service.clock.now))
    listed = await service.accounts.ListAccounts(pb.ListAccountsRequest(), metadata=owner.metadata)
    unlock = pb.SetAccountStatusRequest(id=person.id, action=pb.ACCOUNT_ACTION_ENABLE)
    for account in (
        (await service.accounts.GetAccount(pb.GetAccountRequest(id=person.id), metadata=owner.metadata)).account,
        (await service.accounts.UpdateAccount(rename(person.id, "Janet"), metadata=owner.metadata)).account,
        (await service.accounts.SetAccountStatus(unlock, metadata=owner.metadata)).account,
        *(row.account for row in listed.members if row.account.id == person.id),
    ):
        assert account.id == person.id
        assert not account.HasField("sign_ins") and not account.HasField("locked_at")
    assert [row.account.HasField("sign_ins") for row in listed.members if row.account.id == owner.id] == [True]


async def test_AZ_01_members_run_nothing_but_their_own_profile(service: Running) -> None:
    """Without the permission somebody may read and rename themselves, and that is all."""
    owner = await company(service)
    plain, other = await member(service, owner), await member(service, owner)
    renamed = await service.accounts.UpdateAccount(rename(plain.id, "Janet"), metadata=plain.metadata)
    assert renamed.account.first_name == "Janet" and renamed.account.name == "Janet Smith"
    for call in (
        service.accounts.ListAccounts(pb.ListAccountsRequest(), metadata=plain.metadata),
        service.accounts.GetAccount(pb.GetAccountRequest(id=other.id), metadata=plain.metadata),
        service.accounts.UpdateAccount(rename(other.id, "Mallory"), metadata=plain.metadata),
        service.accounts.UpdateAccount(give_role(plain.id, "owner"), metadata=plain.metadata),
        service.accounts.CreateAccount(pb.CreateAccountRequest(email=new_email()), metadata=plain.metadata),
        service.accounts.SetAccountStatus(disable(other.id), metadata=plain.metadata),
        service.accounts.DeleteAccount(pb.DeleteAccountRequest(id=other.id), metadata=plain.metadata),
    ):
        assert (await refused(call)).reason == "PERMISSION_DENIED"


async def test_N_18_a_disabled_account_does_nothing_any_more(service: Running) -> None:
    """Disabling ends live tokens and every way to new ones; enabling gives them back."""
    owner = await company(service)
    person = await member(service, owner)
    done = await service.accounts.SetAccountStatus(disable(person.id), metadata=owner.metadata)
    assert done.sessions_ended == 1
    assert (await refused(service.get_session(person.session.tokens.access_token))).reason == "SESSION_REVOKED"
    assert (await refused(service.refresh(person.session.tokens.refresh_token))).reason == "SESSION_REVOKED"
    attempt = auth.LoginRequest(identifier=person.email, password=PASSWORD)
    assert (await refused(service.auth.Login(attempt))).reason == "INVALID_CREDENTIALS"
    enable = pb.SetAccountStatusRequest(id=person.id, action=pb.ACCOUNT_ACTION_ENABLE)
    await service.accounts.SetAccountStatus(enable, metadata=owner.metadata)
    await service.login(person.email)


async def test_a_tenant_keeps_an_administrator_and_nobody_acts_on_themselves(service: Running) -> None:
    """The last one who can let others in cannot be taken away, not even by themselves."""
    owner = await company(service)
    for call in (
        service.accounts.SetAccountStatus(disable(owner.id), metadata=owner.metadata),
        service.accounts.DeleteAccount(pb.DeleteAccountRequest(id=owner.id), metadata=owner.metadata),
    ):
        assert (await refused(call)).reason == "PERMISSION_DENIED"
    demote = give_role(owner.id, "user")
    second = await member(service, owner, "owner")
    no = await refused(service.accounts.UpdateAccount(demote, metadata=owner.metadata))
    assert (no.reason, no.fields) == ("PERMISSION_DENIED", ["changes.role"])
    await service.accounts.UpdateAccount(demote, metadata=second.metadata)
    assert (await refused(service.get_session(owner.session.tokens.access_token))).reason == "SESSION_REVOKED"
    listed = await service.accounts.ListAccounts(pb.ListAccountsRequest(role="owner"), metadata=second.metadata)
    assert [row.account.id for row in listed.members] == [second.id]


async def test_the_last_two_administrators_do_not_take_each_other_away(service: Running) -> None:
    """At once each would leave the other: one of them is told that nobody else is left."""
    for _ in range(3):
        one = await company(service)
        two = await member(service, one, "owner")
        async with service.clients(2) as (here, there):
            _, refusals = await outcomes(
                [
                    here.accounts.UpdateAccount(give_role(two.id, "user"), metadata=one.metadata),
                    there.accounts.UpdateAccount(give_role(one.id, "user"), metadata=two.metadata),
                ]
            )
        assert len(refusals) == 1
        assert refusals[0].reason in ("LAST_ADMIN", "PERMISSION_DENIED", "SESSION_REVOKED")


async def test_N_19_a_deleted_person_leaves_nothing_but_the_audit(service: Running) -> None:
    """The address is free again, tokens are dead, and the journal still names the bare id."""
    owner = await company(service)
    person = await member(service, owner)
    done = await service.accounts.DeleteAccount(pb.DeleteAccountRequest(id=person.id), metadata=owner.metadata)
    assert done.erased
    assert (await refused(service.get_session(person.session.tokens.access_token))).reason == "SESSION_REVOKED"
    attempt = auth.LoginRequest(identifier=person.email, password=PASSWORD)
    assert (await refused(service.auth.Login(attempt))).reason == "INVALID_CREDENTIALS"
    wish = pb.CreateAccountRequest(email=person.email, name="Somebody else")
    again = await service.accounts.CreateAccount(wish, metadata=owner.metadata)
    assert again.account.id != person.id and again.account.number > person.session.account.number


async def test_a_list_filters_orders_and_pages(service: Running) -> None:
    """Names from A, words that begin so, roles, and pages that hold everything once."""
    owner = await company(service)
    for name in ("Zoe Quick", "anna Brown", "Bob Quince", "Carl_ 100%"):
        wish = pb.CreateAccountRequest(email=new_email(), name=name)
        await service.accounts.CreateAccount(wish, metadata=owner.metadata)

    async def names(**fields: object) -> list[str]:
        found, token = [], ""
        while True:
            request = pb.ListAccountsRequest(page_size=2, page_token=token, **fields)  # type: ignore[arg-type]
            page = await service.accounts.ListAccounts(request, metadata=owner.metadata)
            found += [row.account.name for row in page.members]
            token = page.next_page_token
            if not token:
                return found

    everybody = await names()
    assert everybody == sorted(everybody, key=str.lower) and len(everybody) == 5
    assert await names(query="qui") == ["Bob Quince", "Zoe Quick"]
    assert await names(query="100%") == ["Carl_ 100%"]
    assert await names(role="user", order=pb.ACCOUNT_ORDER_NEWEST) == [
        "Carl_ 100%",
        "Bob Quince",
        "anna Brown",
        "Zoe Quick",
    ]


async def test_RC_09_the_temporary_password_is_only_in_the_mail(service: Running) -> None:
    """The administrator never sees it; it dies after a day, and with its first use."""
    owner = await company(service)
    email = new_email()
    created = await service.accounts.CreateAccount(
        pb.CreateAccountRequest(email=email, name="New", locale="en"), metadata=owner.metadata
    )
    temporary = await service.mailbox.alone(email, "[A-Za-z0-9]{4}(-[A-Za-z0-9]{4}){3}")
    assert temporary not in str(created)
    service.clock.advance(hours=24)
    attempt = auth.LoginRequest(identifier=email, password=temporary)
    assert (await refused(service.auth.Login(attempt))).reason == "INVALID_CREDENTIALS"


async def test_N_19_a_person_with_a_number_is_deleted_too(service: Running) -> None:
    """Nothing that waits for the number is sent, and somebody else may have it."""
    owner = await company(service)
    wish = pb.CreateAccountRequest(email=new_email(), phone="+31 6 12345678", name="Jane")
    person = await service.accounts.CreateAccount(wish, metadata=owner.metadata)
    taken = pb.CreateAccountRequest(email=new_email(), phone="+31 6 12345678", name="Somebody else")
    assert (await refused(service.accounts.CreateAccount(taken, metadata=owner.metadata))).reason == "PHONE_TAKEN"

    await service.accounts.DeleteAccount(pb.DeleteAccountRequest(id=person.account.id), metadata=owner.metadata)

    again = await service.accounts.CreateAccount(taken, metadata=owner.metadata)
    assert again.account.phone == "+31612345678"


async def test_AZ_03_a_role_is_given_only_if_it_is_there_and_not_above_ones_own(service: Running) -> None:
    """Making somebody and changing somebody are alike in that; a role cannot be taken away altogether."""
    owner = await company(service)
    person = await member(service, owner)
    for role, reason in (("king", "ROLE_NOT_ALLOWED"), ("admin", "PERMISSION_DENIED")):
        wish = pb.CreateAccountRequest(email=new_email(), name="Jane", role=role)
        for call in (
            service.accounts.CreateAccount(wish, metadata=owner.metadata),
            service.accounts.UpdateAccount(give_role(person.id, role), metadata=owner.metadata),
        ):
            no = await refused(call)
            assert (no.reason, no.fields) == (reason, ["role"])
    nothing = pb.UpdateAccountRequest(id=person.id, changes=pb.AccountChanges(), update_mask=FieldMask(paths=["role"]))
    no = await refused(service.accounts.UpdateAccount(nothing, metadata=owner.metadata))
    assert (no.reason, no.fields) == ("INVALID_REQUEST", ["changes.role"])


async def test_AZ_03_nobody_gives_a_permission_that_they_have_not(service: Running) -> None:
    """A level alone is not enough, whether somebody is made, changed or invited."""
    owner = await company(service)
    for key, level, matrix in (
        ("clerk", 50, {"accounts": ["create", "edit"], "invites": ["create"]}),
        ("scout", 10, {"sessions": ["view"]}),
    ):
        permissions = {name: resources.ActionSet(actions=dict.fromkeys(names, True)) for name, names in matrix.items()}
        role = PutRoleRequest(key=key, name=key.title(), level=level, permissions=permissions)
        await service.tenants.PutRole(role, metadata=owner.metadata)
    clerk, person = await member(service, owner, "clerk"), await member(service, owner)
    wish = pb.CreateAccountRequest(email=new_email(), name="Jane", role="scout")
    for call in (
        service.accounts.CreateAccount(wish, metadata=clerk.metadata),
        service.accounts.UpdateAccount(give_role(person.id, "scout"), metadata=clerk.metadata),
        service.invites.CreateInvite(CreateInviteRequest(email=new_email(), role="scout"), metadata=clerk.metadata),
    ):
        no = await refused(call)
        assert (no.reason, no.fields) == ("PERMISSION_DENIED", ["role"])
    wish.role = "user"
    await service.accounts.CreateAccount(wish, metadata=clerk.metadata)


async def test_a_place_changes_without_the_role_and_ends_no_session(service: Running) -> None:
    """Department and teams are labels: who gets others goes on with the tokens there are."""
    owner = await company(service)
    person = await member(service, owner)
    changes = pb.AccountChanges(department_id="d-7", team_ids=["t-1", "t-2"])
    move = pb.UpdateAccountRequest(
        id=person.id, changes=changes, update_mask=FieldMask(paths=["department_id", "team_ids"])
    )

    moved = (await service.accounts.UpdateAccount(move, metadata=owner.metadata)).membership

    assert (moved.department_id, list(moved.team_ids), moved.role.key) == ("d-7", ["t-1", "t-2"], "user")
    await service.get_session(person.session.tokens.access_token)


async def test_a_language_that_is_cleared_is_the_policys_again(service: Running) -> None:
    """A profile always has one."""
    session = await service.login(await service.verified(locale="nl"))
    clear = pb.UpdateAccountRequest(
        id=session.account.id, changes=pb.AccountChanges(), update_mask=FieldMask(paths=["locale"])
    )
    metadata = bearer(session.tokens.access_token)
    assert (await service.accounts.UpdateAccount(clear, metadata=metadata)).account.locale == "en"


async def test_N_18_enabling_what_is_not_disabled_changes_nothing(service: Running) -> None:
    """It can be repeated, and ends no session."""
    owner = await company(service)
    person = await member(service, owner)
    enable = pb.SetAccountStatusRequest(id=person.id, action=pb.ACCOUNT_ACTION_ENABLE)
    for _ in range(2):
        done = await service.accounts.SetAccountStatus(enable, metadata=owner.metadata)
        assert (done.account.status, done.sessions_ended) == (resources.ACCOUNT_STATUS_ACTIVE, 0)
    await service.get_session(person.session.tokens.access_token)


async def test_LG_04_a_tenant_makes_five_hundred_accounts_in_a_day(service: Running) -> None:
    """The next one waits for the end of the day, and other tenants do not."""
    owner = await company(service)
    create = [pb.CreateAccountRequest(email=new_email(), name="Jane") for _ in range(4)]
    await service.accounts.CreateAccount(create[0], metadata=owner.metadata)
    service.set_failures("accounts", owner.session.tenant.id, 499, minutes=24 * 60)
    await service.accounts.CreateAccount(create[1], metadata=owner.metadata)
    no = await refused(service.accounts.CreateAccount(create[2], metadata=owner.metadata))
    assert (no.reason, no.retry_after) == ("RATE_LIMITED", 24 * 60 * 60)
    await service.accounts.CreateAccount(create[3], metadata=(await company(service)).metadata)


async def test_LG_04_asking_who_has_an_account_is_charged_as_making_one(service: Running) -> None:
    """A taken address is told to so many a day, and an address gets one temporary password in a minute."""
    owner, taken, email = await company(service), await service.verified(), new_email()
    probe = pb.CreateAccountRequest(email=taken, name="Jane")
    assert (await refused(service.accounts.CreateAccount(probe, metadata=owner.metadata))).reason == "EMAIL_TAKEN"
    wish = pb.CreateAccountRequest(email=email, name="Jane")
    made = await service.accounts.CreateAccount(wish, metadata=owner.metadata)
    await service.accounts.DeleteAccount(pb.DeleteAccountRequest(id=made.account.id), metadata=owner.metadata)
    no = await refused(service.accounts.CreateAccount(wish, metadata=owner.metadata))
    assert (no.reason, no.retry_after, no.fields) == ("RATE_LIMITED", 60, ["email"])
    service.set_failures("accounts", owner.session.tenant.id, 499, minutes=24 * 60)
    assert (await refused(service.accounts.CreateAccount(probe, metadata=owner.metadata))).reason == "EMAIL_TAKEN"
    assert (await refused(service.accounts.CreateAccount(probe, metadata=owner.metadata))).reason == "RATE_LIMITED"


async def test_RC_09_nobody_makes_accounts_before_their_own_address_is_proven(service: Running) -> None:
    """As with invitations: no mail to others at the word of somebody whom no mail has reached."""
    owner = await company(service)
    service.execute(update(account_rows).where(account_rows.c.email == owner.email).values(email_verified_at=None))
    wish = pb.CreateAccountRequest(email=new_email(), name="Jane")
    no = await refused(service.accounts.CreateAccount(wish, metadata=owner.metadata))
    assert (no.code, no.reason) == (grpc.StatusCode.PERMISSION_DENIED, "EMAIL_NOT_VERIFIED")


def rename(account_id: str, first_name: str) -> pb.UpdateAccountRequest:
    return pb.UpdateAccountRequest(
        id=account_id,
        changes=pb.AccountChanges(first_name=first_name),
        update_mask=FieldMask(paths=["first_name"]),
    )


def give_role(account_id: str, role: str) -> pb.UpdateAccountRequest:
    return pb.UpdateAccountRequest(
        id=account_id, changes=pb.AccountChanges(role=role), update_mask=FieldMask(paths=["role"])
    )


def disable(account_id: str) -> pb.SetAccountStatusRequest:
    return pb.SetAccountStatusRequest(id=account_id, action=pb.ACCOUNT_ACTION_DISABLE)
