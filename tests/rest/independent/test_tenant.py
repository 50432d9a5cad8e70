"""The tenant product's document from top to bottom, by a front end that was written from it alone.

The web app lives on another origin, as a page that `IDENTITY_CORS_ORIGINS` names.

Where the document asks for something unsafe the front end sees this instead: an unknown tenant is the same 401 as a
wrong password unless the policy says that slugs are public (Z-04), refresh tokens are opaque (Z-08), and an address
gets one reset mail in a minute, whichever tenant was named (Z-05, RC-03).
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.conftest import Launch
from tests.rest.independent.senders import Blocked, a_browser, claims_of, json_of, types_of
from tests.rest.independent.tenant_client import TenantClient
from tests.running import Running, bearer, new_email

from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import invite_service_pb2 as invites

PAGE = "https://app.tenant.example"
SLUG = "acme-corporation"
ADMIN = "admin@acme.example"
PASSWORD, OTHER, WRONG = "SecurePass123!", "NewSecurePass456!", "WrongPass789!"
REGISTRATION = {
    "email": ADMIN,
    "password": PASSWORD,
    "companyName": "Acme Corporation",
    "firstName": "John",
    "lastName": "Doe",
}

NEWCOMER = {"id": str, "email": str, "firstName": str, "lastName": str, "role": str, "roleLevel": int}
# Nobody has given this one a picture, a department or a team.
USER: dict[str, Any] = {**NEWCOMER, "avatar": None, "departmentId": None, "teamIds": []}
TOKENS = {"accessToken": str, "refreshToken": str}


async def test_a_front_end_written_from_the_document_works_with_the_tenant_dialect(launch: Launch) -> None:
    service = await launch(preset="tenant", rest_address="127.0.0.1:0", cors_origins=PAGE)
    async with a_browser(service, PAGE) as browser:
        admin, guest = TenantClient(browser.fetch), TenantClient(browser.fetch)

        await _only_the_named_page_may_call(service)
        await _registers(admin)
        await service.auth.VerifyEmail(auth.VerifyEmailRequest(token=await service.mailbox.token(ADMIN)))
        await _signs_in(admin)
        await _reads_itself(admin, service)
        await _stays_signed_in(admin, service)
        await _takes_an_invitation(admin, guest, service)
        await _forgets_the_password(TenantClient(browser.fetch), service)
        await _changes_the_password(admin, TenantClient(browser.fetch))


async def test_an_unknown_tenant_is_told_where_slugs_are_public(launch: Launch) -> None:
    """Z-04: the documented 404 is there for products whose slugs everybody sees."""
    service = await launch(preset="tenant", rest_address="127.0.0.1:0", policy={"tells_unknown_tenants": True})
    async with a_browser(service) as browser:
        person = TenantClient(browser.fetch)
        json_of(await person.register(**REGISTRATION), 201)

        json_of(await person.login("no-such-tenant", ADMIN, PASSWORD), 404)
        json_of(await person.login(SLUG, ADMIN, WRONG), 401)
        json_of(await person.login(SLUG, ADMIN, PASSWORD))


async def _only_the_named_page_may_call(service: Running) -> None:
    async with a_browser(service, "https://elsewhere.example") as browser:
        stranger = TenantClient(browser.fetch)
        stranger.access_token = "whatever"
        with pytest.raises(Blocked):
            await stranger.register(**REGISTRATION)
        with pytest.raises(Blocked):
            await stranger.me()
        with pytest.raises(Blocked):
            await stranger.validate_invite("whatever")


async def _registers(admin: TenantClient) -> None:
    json_of(await admin.register(**{**REGISTRATION, "password": "short1!"}), 400)
    for missing in REGISTRATION:
        json_of(await admin.register(**{key: REGISTRATION[key] for key in REGISTRATION if key != missing}), 400)

    made = json_of(await admin.register(**REGISTRATION), 201)

    assert types_of(made) == {**TOKENS, "user": NEWCOMER, "tenant": {"id": str, "slug": str, "companyName": str}}
    assert made["user"] == {
        "id": made["user"]["id"],
        "email": ADMIN,
        "firstName": "John",
        "lastName": "Doe",
        "role": "admin",
        "roleLevel": 100,
    }
    assert made["tenant"] == {"id": made["tenant"]["id"], "slug": SLUG, "companyName": "Acme Corporation"}
    assert claims_of(made["accessToken"])["sub"] == made["user"]["id"]
    assert json_of(await admin.me())["email"] == ADMIN
    json_of(await admin.register(**{**REGISTRATION, "companyName": "Another Corporation"}), 409)
    json_of(await admin.register(**{**REGISTRATION, "email": new_email()}), 409)


async def _signs_in(admin: TenantClient) -> None:
    for slug, email, password in (
        (SLUG, ADMIN, WRONG),
        (SLUG, "nobody@acme.example", PASSWORD),
        ("no-such-tenant", ADMIN, PASSWORD),
    ):
        json_of(await admin.login(slug, email, password), 401)

    session = json_of(await admin.login(SLUG, ADMIN, PASSWORD))

    assert types_of(session) == {**TOKENS, "user": USER}
    assert (session["user"]["role"], session["user"]["roleLevel"]) == ("admin", 100)


async def _reads_itself(admin: TenantClient, service: Running) -> None:
    me = json_of(await admin.me())
    assert {key: value for key, value in types_of(me).items() if key != "permissions"} == {
        **USER,
        "tenant": {"slug": str, "companyName": str},
    }
    assert me["tenant"] == {"slug": SLUG, "companyName": "Acme Corporation"}
    assert me["permissions"]["leads"] == {"view": True, "create": True, "edit": True, "delete": True}
    assert {type(allowed) for actions in me["permissions"].values() for allowed in actions.values()} == {bool}

    changes = accounts.AccountChanges(
        avatar_url="/uploads/avatars/uuid.jpg", department_id="dept-uuid", team_ids=["team-uuid-1"]
    )
    change = accounts.UpdateAccountRequest(id=me["id"], changes=changes)
    change.update_mask.paths.extend(["avatar_url", "department_id", "team_ids"])
    await service.accounts.UpdateAccount(change, metadata=bearer(admin.access_token))
    placed = {"avatar": "/uploads/avatars/uuid.jpg", "departmentId": "dept-uuid", "teamIds": ["team-uuid-1"]}
    assert json_of(await admin.me()) == {**me, **placed}
    session = json_of(await admin.login(SLUG, ADMIN, PASSWORD))
    assert session["user"] == {**{key: me[key] for key in USER}, **placed}

    token, admin.access_token = admin.access_token, ""
    json_of(await admin.me(), 401)
    admin.access_token = f"{token[:-4]}AAAA"
    json_of(await admin.me(), 401)


async def _stays_signed_in(admin: TenantClient, service: Running) -> None:
    await admin.login(SLUG, ADMIN, PASSWORD)
    first, before = admin.refresh_token, admin.access_token
    service.clock.advance(minutes=5)

    renewed = json_of(await admin.refresh())
    assert types_of(renewed) == TOKENS
    assert before != admin.access_token
    assert json_of(await admin.me())["email"] == ADMIN
    service.clock.advance(minutes=5)
    json_of(await admin.refresh(first), 401)
    json_of(await admin.refresh("no-such-token"), 401)

    await admin.login(SLUG, ADMIN, PASSWORD)
    service.clock.advance(days=365)
    json_of(await admin.refresh(), 401)
    json_of(await admin.me(), 401)


async def _takes_an_invitation(admin: TenantClient, guest: TenantClient, service: Running) -> None:
    """Inviting is not in the document: the product's backend does it, for an admin who proved the address."""
    await admin.login(SLUG, ADMIN, PASSWORD)
    email, token = await _invite(admin, service)

    assert json_of(await guest.validate_invite(token)) == {
        "valid": True,
        "email": email,
        "tenantName": "Acme Corporation",
        "invitedBy": "John Doe",
        "roleName": "User",
    }
    json_of(await guest.validate_invite("no-such-token"), 404)
    json_of(await guest.accept_invite(token, "short1!", "Jane", "Smith"), 400)

    accepted = json_of(await guest.accept_invite(token, PASSWORD, "Jane", "Smith"), 201)

    assert types_of(accepted) == {**TOKENS, "user": NEWCOMER}
    assert accepted["user"] == {
        "id": accepted["user"]["id"],
        "email": email,
        "firstName": "Jane",
        "lastName": "Smith",
        "role": "user",
        "roleLevel": 10,
    }
    me = json_of(await guest.me())
    assert (me["email"], me["tenant"]["slug"]) == (email, SLUG)
    assert me["permissions"]["leads"]["delete"] is False
    json_of(await guest.validate_invite(token), 400)
    json_of(await guest.accept_invite(token, PASSWORD, "Jane", "Smith"), 400)
    json_of(await guest.accept_invite("no-such-token", PASSWORD, "Jane", "Smith"), 404)
    assert json_of(await guest.login(SLUG, email, PASSWORD))["user"]["firstName"] == "Jane"

    _, late = await _invite(admin, service)
    service.clock.advance(days=60)
    json_of(await guest.validate_invite(late), 400)
    json_of(await guest.accept_invite(late, PASSWORD, "Jane", "Smith"), 400)


async def _invite(admin: TenantClient, service: Running) -> tuple[str, str]:
    email = new_email()
    wish = invites.CreateInviteRequest(email=email, role="user", locale="en")
    await service.invites.CreateInvite(wish, metadata=bearer(admin.access_token))
    return email, await service.mailbox.token(email)


async def _forgets_the_password(person: TenantClient, service: Running) -> None:
    promise = {"message": "If the email exists, a reset link has been sent."}
    mails = service.mailbox.count(ADMIN)
    assert json_of(await person.forgot_password("nobody@acme.example", SLUG)) == promise
    assert json_of(await person.forgot_password(ADMIN, "no-such-tenant")) == promise
    service.clock.advance(minutes=2)
    assert json_of(await person.forgot_password(ADMIN, SLUG)) == promise
    token = await service.mailbox.token(ADMIN, mails + 1)
    assert service.mailbox.count(ADMIN) == mails + 1

    assert json_of(await person.validate_reset(token)) == {"valid": True, "email": ADMIN}
    json_of(await person.validate_reset("no-such-token"), 404)
    json_of(await person.reset_password("no-such-token", OTHER), 404)
    json_of(await person.reset_password(token, "short1!"), 400)
    assert json_of(await person.reset_password(token, OTHER)) == {"message": "Password reset successfully"}
    json_of(await person.validate_reset(token), 400)
    json_of(await person.reset_password(token, PASSWORD), 400)
    json_of(await person.login(SLUG, ADMIN, PASSWORD), 401)
    json_of(await person.login(SLUG, ADMIN, OTHER))

    service.clock.advance(minutes=2)
    mails = service.mailbox.count(ADMIN)
    json_of(await person.forgot_password(ADMIN, SLUG))
    late = await service.mailbox.token(ADMIN, mails + 1)
    service.clock.advance(days=2)
    json_of(await person.validate_reset(late), 400)
    json_of(await person.reset_password(late, PASSWORD), 400)


async def _changes_the_password(admin: TenantClient, elsewhere: TenantClient) -> None:
    admin.access_token = ""
    json_of(await admin.change_password(OTHER, PASSWORD), 401)
    await elsewhere.login(SLUG, ADMIN, OTHER)
    await admin.login(SLUG, ADMIN, OTHER)
    json_of(await admin.change_password(WRONG, PASSWORD), 401)
    json_of(await admin.change_password(OTHER, "short1!"), 400)

    assert json_of(await admin.change_password(OTHER, PASSWORD)) == {"message": "Password changed successfully"}

    json_of(await elsewhere.me(), 401)
    json_of(await elsewhere.refresh(), 401)
    json_of(await elsewhere.login(SLUG, ADMIN, OTHER), 401)
    json_of(await elsewhere.login(SLUG, ADMIN, PASSWORD))
