"""Tenants: choosing among them, switching, and the roles they make (AZ-02, AZ-03)."""

from __future__ import annotations

import asyncio
from uuid import UUID

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import update
from tests.company import company, in_two, member
from tests.conftest import Launch
from tests.running import PASSWORD, WRONG_PASSWORD, Running, bearer, new_email, refused

from identity.store.tables import memberships as membership_rows
from identity.store.tables import tenants as tenant_rows
from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions
from identity_pb.v1 import tenant_service_pb2 as pb


async def test_nothing_of_a_tenant_shows_before_the_password_is_proven(service: Running) -> None:
    """A wrong password, with any slug or none, gets the one failure shape."""
    email, one, _ = await in_two(service)
    for slug in (None, one.session.tenant.slug, "nowhere"):
        attempt = auth.LoginRequest(identifier=email, password=WRONG_PASSWORD, tenant_slug=slug)
        assert (await refused(service.auth.Login(attempt))).reason == "INVALID_CREDENTIALS"
        service.clock.advance(minutes=1)


async def test_somebody_in_two_tenants_chooses(service: Running) -> None:
    """Without a slug both are offered; a tenant that was not offered keeps the choice open; a choice is used up."""
    email, one, two = await in_two(service)
    third = await company(service)
    answer = await service.auth.Login(auth.LoginRequest(identifier=email, password=PASSWORD))
    choice = answer.tenant_choice
    assert {option.id for option in choice.tenants} == {one.session.tenant.id, two.session.tenant.id}
    wrong = auth.SelectTenantRequest(challenge_token=choice.challenge_token, tenant_id=third.session.tenant.id)
    no = await refused(service.auth.SelectTenant(wrong))
    assert (no.code, no.reason) == (grpc.StatusCode.NOT_FOUND, "TENANT_NOT_FOUND")
    right = auth.SelectTenantRequest(challenge_token=choice.challenge_token, tenant_slug=two.session.tenant.slug)
    chosen = await service.auth.SelectTenant(right)
    assert chosen.session.tenant.id == two.session.tenant.id
    assert (await refused(service.auth.SelectTenant(right))).reason == "TOKEN_INVALID"


async def test_a_slug_goes_straight_there(service: Running) -> None:
    """With a slug there is nothing to choose."""
    email, one, _ = await in_two(service)
    signed_in = await service.login(email, tenant_slug=one.session.tenant.slug)
    assert signed_in.tenant.id == one.session.tenant.id


async def test_SE_05_switching_opens_a_fresh_session(service: Running) -> None:
    """The old session ends with the switch, and the absolute end stays where it was."""
    email, one, two = await in_two(service)
    signed_in = await service.login(email, tenant_slug=one.session.tenant.slug)
    service.clock.advance(minutes=5)
    request = sessions.SwitchTenantRequest(tenant_id=two.session.tenant.id)
    switched = await service.sessions.SwitchTenant(request, metadata=bearer(signed_in.tokens.access_token))
    assert switched.session.tenant.id == two.session.tenant.id
    assert switched.session.session.id != signed_in.session.id
    assert switched.session.session.expires_at == signed_in.session.expires_at
    assert (await refused(service.get_session(signed_in.tokens.access_token))).reason == "SESSION_REVOKED"
    foreign = sessions.SwitchTenantRequest(tenant_id=(await company(service)).session.tenant.id)
    no = await refused(service.sessions.SwitchTenant(foreign, metadata=bearer(switched.session.tokens.access_token)))
    assert no.reason == "TENANT_NOT_FOUND"


async def test_AZ_03_a_role_never_exceeds_its_maker(service: Running) -> None:
    """Neither its level nor its permissions may be more than the caller has."""
    owner = await company(service)
    for role in (
        pb.PutRoleRequest(key="boss", name="Boss", level=91),
        pb.PutRoleRequest(key="boss", name="Boss", level=10, permissions={"vault": actions("open")}),
    ):
        no = await refused(service.tenants.PutRole(role, metadata=owner.metadata))
        assert no.reason == "PERMISSION_DENIED"
    built_in = pb.PutRoleRequest(key="user", name="User", level=1)
    assert (await refused(service.tenants.PutRole(built_in, metadata=owner.metadata))).reason == "ROLE_NOT_ALLOWED"


async def test_a_role_of_the_tenants_own_grants_what_it_says(service: Running) -> None:
    """Who has it may do what its matrix names; a change of it ends older access tokens; in use it cannot go."""
    owner = await company(service)
    role = pb.PutRoleRequest(key="scout", name="Scout", level=20, permissions={"accounts": actions("view")})
    await service.tenants.PutRole(role, metadata=owner.metadata)
    roles = (await service.tenants.ListRoles(pb.ListRolesRequest(), metadata=owner.metadata)).roles
    assert len({role.number for role in roles}) == len(roles)
    scout = await member(service, owner, "scout")
    assert (scout.session.membership.role.name, scout.session.membership.role.level) == ("Scout", 20)
    listing = accounts.ListAccountsRequest()
    assert len((await service.accounts.ListAccounts(listing, metadata=scout.metadata)).members) == 2

    service.clock.advance(seconds=2)
    await service.tenants.PutRole(pb.PutRoleRequest(key="scout", name="Scout", level=15), metadata=owner.metadata)
    stale = await refused(service.accounts.ListAccounts(listing, metadata=scout.metadata))
    assert stale.reason == "SESSION_REVOKED"
    refreshed = await service.refresh(scout.session.tokens.refresh_token)
    fresh = bearer(refreshed.tokens.access_token)
    assert (await service.sessions.GetSession(sessions.GetSessionRequest(), metadata=fresh)).membership.role.level == 15
    assert (await refused(service.accounts.ListAccounts(listing, metadata=fresh))).reason == "PERMISSION_DENIED"
    gone = await refused(service.tenants.DeleteRole(pb.DeleteRoleRequest(key="scout"), metadata=owner.metadata))
    assert gone.reason == "ROLE_IN_USE"


async def test_a_role_that_changes_leaves_an_administrator(service: Running) -> None:
    """Who has made a role for whoever lets others in cannot take that away when nobody else may."""
    owner = await company(service)
    chief = pb.PutRoleRequest(
        key="chief", name="Chief", level=80, permissions={"roles": actions("edit"), "accounts": actions("edit")}
    )
    await service.tenants.PutRole(chief, metadata=owner.metadata)
    heir = await member(service, owner, "chief")
    service.execute(update(membership_rows).where(membership_rows.c.account_id == UUID(owner.id)).values(role="user"))
    service.clock.advance(seconds=2)
    less = pb.PutRoleRequest(key="chief", name="Chief", level=80, permissions={"roles": actions("edit")})
    no = await refused(service.tenants.PutRole(less, metadata=heir.metadata))
    assert (no.code, no.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "LAST_ADMIN")
    await service.get_session(heir.session.tokens.access_token)


async def test_AZ_02_roles_of_another_tenant_do_not_exist(service: Running) -> None:
    """A role is its tenant's alone."""
    one, two = await company(service), await company(service)
    await service.tenants.PutRole(pb.PutRoleRequest(key="scout", name="Scout", level=20), metadata=one.metadata)
    keys = {role.key for role in (await service.tenants.ListRoles(pb.ListRolesRequest(), metadata=two.metadata)).roles}
    assert "scout" not in keys
    wish = invites.CreateInviteRequest(email=new_email(), role="scout")
    assert (await refused(service.invites.CreateInvite(wish, metadata=two.metadata))).reason == "ROLE_NOT_ALLOWED"
    no = await refused(service.tenants.DeleteRole(pb.DeleteRoleRequest(key="scout"), metadata=two.metadata))
    assert no.reason == "NOT_FOUND"


async def test_a_tenant_changes_what_the_mask_names(service: Running) -> None:
    """Name, contact and hours can change, the slug never does, and members may not."""
    owner = await company(service)
    hours = resources.OpeningHours(day_of_week=1, open_time="09:00", close_time="17:30")
    changes = pb.TenantChanges(name="Renamed", contact=resources.Contact(phone="+31 20 123"), opening_hours=[hours])
    request = pb.UpdateTenantRequest(changes=changes, update_mask=FieldMask(paths=["name", "contact", "opening_hours"]))
    updated = await service.tenants.UpdateTenant(request, metadata=owner.metadata)
    assert (updated.tenant.name, updated.tenant.slug) == ("Renamed", owner.session.tenant.slug)
    assert updated.tenant.opening_hours[0].close_time == "17:30"
    plain = await member(service, owner)
    assert (await refused(service.tenants.UpdateTenant(request, metadata=plain.metadata))).reason == "PERMISSION_DENIED"
    read = await service.tenants.GetTenant(pb.GetTenantRequest(), metadata=plain.metadata)
    assert read.tenant.contact.phone == "+31 20 123"


async def test_a_role_goes_when_nobody_has_it(service: Running) -> None:
    """Built-in ones never do, nor one that is above the caller's own."""
    owner = await company(service)
    for role in (
        pb.PutRoleRequest(key="scout", name="Scout", level=20),
        pb.PutRoleRequest(
            key="chief", name="Chief", level=80, permissions={"roles": actions("delete"), "accounts": actions("view")}
        ),
        pb.PutRoleRequest(key="deputy", name="Deputy", level=90),
    ):
        await service.tenants.PutRole(role, metadata=owner.metadata)
    built_in = await refused(service.tenants.DeleteRole(pb.DeleteRoleRequest(key="user"), metadata=owner.metadata))
    assert (built_in.reason, built_in.fields) == ("ROLE_IN_USE", ["key"])
    chief = await member(service, owner, "chief")
    above = await refused(service.tenants.DeleteRole(pb.DeleteRoleRequest(key="deputy"), metadata=chief.metadata))
    assert above.reason == "PERMISSION_DENIED"

    await service.tenants.DeleteRole(pb.DeleteRoleRequest(key="scout"), metadata=owner.metadata)

    roles = (await service.tenants.ListRoles(pb.ListRolesRequest(), metadata=owner.metadata)).roles
    assert "scout" not in {role.key for role in roles}


async def test_opening_hours_outlive_the_other_attributes(service: Running) -> None:
    """They are written by their own name alone, though both are kept together."""
    owner = await company(service)
    hours = resources.OpeningHours(day_of_week=1, open_time="09:00", close_time="17:30")
    changes = pb.TenantChanges(opening_hours=[hours])
    changes.attributes.update({"vat": "NL001"})
    for path in ("attributes", "opening_hours", "attributes"):
        request = pb.UpdateTenantRequest(changes=changes, update_mask=FieldMask(paths=[path]))
        tenant = (await service.tenants.UpdateTenant(request, metadata=owner.metadata)).tenant
        assert dict(tenant.attributes) == {"vat": "NL001"}
    assert list(tenant.opening_hours) == [hours]


async def test_no_attribute_passes_for_opening_hours(service: Running) -> None:
    """It is refused; and one that was let in before keeps nobody out."""
    owner = await company(service)
    changes = pb.TenantChanges()
    changes.attributes.update({"opening_hours": 5})
    request = pb.UpdateTenantRequest(changes=changes, update_mask=FieldMask(paths=["attributes"]))
    no = await refused(service.tenants.UpdateTenant(request, metadata=owner.metadata))
    assert (no.reason, no.fields) == ("INVALID_REQUEST", ["changes.attributes"])
    for junk in (5, [5], [{"day": "Monday"}], None):
        ours = update(tenant_rows).where(tenant_rows.c.id == UUID(owner.session.tenant.id))
        service.execute(ours.values(attributes={"opening_hours": junk, "vat": "NL001"}))
        tenant = (await service.login(owner.email)).tenant
        assert (list(tenant.opening_hours), dict(tenant.attributes)) == ([], {"vat": "NL001"})


async def test_changes_at_the_same_time_lose_nothing_of_each_other(service: Running) -> None:
    """Name, hours and attributes of one tenant, all at once, are all there afterwards."""
    owner = await company(service)
    async with service.clients(3) as clients:
        for n in range(8):
            hours = resources.OpeningHours(day_of_week=n % 7, open_time="09:00", close_time="17:30")
            changes = pb.TenantChanges(name=f"Renamed {n}", opening_hours=[hours])
            changes.attributes.update({"round": str(n)})
            await asyncio.gather(
                *(
                    client.tenants.UpdateTenant(
                        pb.UpdateTenantRequest(changes=changes, update_mask=FieldMask(paths=[path])),
                        metadata=owner.metadata,
                    )
                    for client, path in zip(clients, ("name", "opening_hours", "attributes"), strict=True)
                )
            )
            tenant = (await service.tenants.GetTenant(pb.GetTenantRequest(), metadata=owner.metadata)).tenant
            assert (tenant.name, list(tenant.opening_hours)) == (changes.name, [hours])
            assert dict(tenant.attributes) == {"round": str(n)}


async def test_AZ_02_who_has_no_tenant_reads_none(service: Running) -> None:
    """There is no tenant by default."""
    alone = await service.signed_in()
    metadata = bearer(alone.tokens.access_token)
    assert (await refused(service.tenants.GetTenant(pb.GetTenantRequest(), metadata=metadata))).reason in (
        "NOT_FOUND",
        "PERMISSION_DENIED",
    )


async def test_a_name_that_is_taken_is_refused_where_names_are_unique(launch: Launch) -> None:
    """Whoever has it may keep it, in whatever spelling."""
    service = await launch(policy={"registration": {"unique_tenant_names": True}})
    one, two = await company(service), await company(service)

    def rename(name: str) -> pb.UpdateTenantRequest:
        return pb.UpdateTenantRequest(changes=pb.TenantChanges(name=name), update_mask=FieldMask(paths=["name"]))

    taken = rename(one.session.tenant.name.upper())
    no = await refused(service.tenants.UpdateTenant(taken, metadata=two.metadata))
    assert (no.reason, no.fields) == ("TENANT_NAME_TAKEN", ["changes.name"])
    await service.tenants.UpdateTenant(taken, metadata=one.metadata)


def actions(*names: str) -> resources.ActionSet:
    return resources.ActionSet(actions=dict.fromkeys(names, True))
