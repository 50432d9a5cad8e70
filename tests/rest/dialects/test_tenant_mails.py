"""What the companies' mails lead to: invitations, and new passwords."""

from __future__ import annotations

from tests.company import Person, company, invited, member
from tests.rest.web import Web
from tests.running import OTHER_PASSWORD, PASSWORD, new_email

RESET = "Choose a new password"


async def test_an_invitation_from_the_mail_to_the_account(tenant: Web) -> None:
    """Looking does not use it up (RC-06, Z-26); accepting does."""
    john = await tenant.service.verified(role="admin", tenant_name="Acme", first_name="John", last_name="Doe")
    email, token = await invited(tenant.service, Person(john, await tenant.service.login(john)))

    for _ in range(2):
        seen = await tenant.client.get("/auth/invite/validate", params={"token": token})
        assert list(seen.json().items()) == [
            ("valid", True),
            ("email", email),
            ("tenantName", "Acme"),
            ("invitedBy", "John Doe"),
            ("roleName", "User"),
        ]
        assert (seen.headers["cache-control"], seen.headers["referrer-policy"]) == ("no-store", "no-referrer")
    body = {"token": token, "password": PASSWORD, "firstName": "Jane", "lastName": "Smith"}
    answer = await tenant.call("POST", "/auth/invite/accept", body, status=201)

    assert list(answer) == ["accessToken", "refreshToken", "user"]
    assert list(answer["user"].items()) == [
        ("id", str(tenant.service.account(email).id)),
        ("email", email),
        ("firstName", "Jane"),
        ("lastName", "Smith"),
        ("role", "user"),
        ("roleLevel", 10),
    ]
    used = await tenant.call("GET", f"/auth/invite/validate?token={token}", status=400)
    again = await tenant.call("POST", "/auth/invite/accept", body, status=400)
    assert (
        used == again == {"message": "Token expired or already used", "code": "INVITE_USED", "errors": used["errors"]}
    )


async def test_an_unknown_invitation_is_404_and_an_old_one_400(tenant: Web) -> None:
    owner = await company(tenant.service, "admin")
    _, token = await invited(tenant.service, owner)
    tenant.service.clock.advance(days=30)

    old = await tenant.call("GET", f"/auth/invite/validate?token={token}", status=400)
    unknown = await tenant.call("GET", "/auth/invite/validate?token=abc123def456", status=404)
    missing = await tenant.call("GET", "/auth/invite/validate", status=400)

    assert (old["message"], old["code"]) == ("Token expired or already used", "INVITE_EXPIRED")
    assert unknown == {"message": "Invalid token", "code": "INVITE_NOT_FOUND"}
    assert [fault["field"] for fault in missing["errors"]] == ["token"]
    await tenant.call("POST", "/auth/invite/accept", {"token": "abc123def456"}, status=404)


async def test_a_refused_password_keeps_the_invitation(tenant: Web) -> None:
    owner = await company(tenant.service, "admin")
    _, token = await invited(tenant.service, owner)

    for password in ("short", None):
        body = {"token": token, "password": password, "firstName": "Jane", "lastName": "Smith"}
        refused = await tenant.call("POST", "/auth/invite/accept", body, status=400)
        assert [fault["field"] for fault in refused["errors"]] == ["password"]

    await tenant.call("POST", "/auth/invite/accept", {"token": token, "password": PASSWORD}, status=201)


async def test_whoever_else_is_signed_in_does_not_stand_in_the_way(tenant: Web) -> None:
    """The document's call is public: a bearer that the app sends all the same is not looked at."""
    owner = await company(tenant.service, "admin")
    email, token = await invited(tenant.service, owner)
    body = {"token": token, "password": PASSWORD, "firstName": "Jane", "lastName": "Smith"}

    answer = await tenant.call(
        "POST", "/auth/invite/accept", body, bearer=owner.session.tokens.access_token, status=201
    )

    assert answer["user"]["email"] == email


async def test_an_address_with_an_account_signs_in_to_accept(tenant: Web) -> None:
    one, two = await company(tenant.service, "admin"), await company(tenant.service, "admin")
    jane = await member(tenant.service, one)
    tenant.service.clock.advance(seconds=61)
    await invited(tenant.service, two, email=jane.email)
    token = await tenant.service.mailbox.token(jane.email, 2, subject="invited")
    body = {"token": token, "password": PASSWORD, "firstName": "Jane", "lastName": "Smith"}

    refused = await tenant.call("POST", "/auth/invite/accept", body, status=401)
    foreign = await tenant.call("POST", "/auth/invite/accept", body, bearer=one.session.tokens.access_token, status=403)
    answer = await tenant.call("POST", "/auth/invite/accept", body, bearer=jane.session.tokens.access_token, status=201)

    assert (refused["code"], foreign["code"]) == ("SIGN_IN_REQUIRED", "INVITE_EMAIL_MISMATCH")
    me = await tenant.call("GET", "/auth/me", bearer=answer["accessToken"])
    assert me["tenant"]["slug"] == two.session.tenant.slug
    await tenant.call("POST", "/auth/refresh", {"refreshToken": answer["refreshToken"]})


# Passwords.


async def test_a_forgotten_password(tenant: Web) -> None:
    """From the mail to a new password, which ends the sessions; looking at the link does not use it up."""
    owner = await company(tenant.service, "admin")
    tenant.service.clock.advance(seconds=61)
    body = {"email": owner.email, "tenantSlug": owner.session.tenant.slug}
    asked = await tenant.call("POST", "/auth/forgot-password", body)
    assert asked == {"message": "If the email exists, a reset link has been sent."}
    token = await tenant.service.mailbox.token(owner.email, subject=RESET)

    for _ in range(2):
        valid = await tenant.call("GET", f"/auth/reset-password/validate?token={token}")
        assert list(valid.items()) == [("valid", True), ("email", owner.email)]
    weak = await tenant.call("POST", "/auth/reset-password", {"token": token, "newPassword": "short"}, status=400)
    assert [fault["field"] for fault in weak["errors"]] == ["newPassword"]
    done = await tenant.call("POST", "/auth/reset-password", {"token": token, "newPassword": OTHER_PASSWORD})
    assert done == {"message": "Password reset successfully"}

    used = await tenant.call("GET", f"/auth/reset-password/validate?token={token}", status=400)
    unknown = await tenant.call("GET", "/auth/reset-password/validate?token=reset-token-123", status=404)
    assert (used["code"], unknown["code"]) == ("LINK_USED", "LINK_NOT_FOUND")
    nothing = {"token": "reset-token-123", "newPassword": OTHER_PASSWORD}
    await tenant.call("POST", "/auth/reset-password", nothing, status=404)
    await tenant.call("GET", "/auth/me", bearer=owner.session.tokens.access_token, status=401)
    await tenant.call("POST", "/auth/login", {"email": owner.email, "password": OTHER_PASSWORD})


async def test_Z_05_forgetting_looks_the_same_for_every_address_and_tenant(tenant: Web) -> None:
    owner, other = await company(tenant.service, "admin"), await company(tenant.service, "admin")
    bodies = [
        {"email": owner.email, "tenantSlug": other.session.tenant.slug},
        {"email": owner.email, "tenantSlug": "nowhere"},
        {"email": owner.email, "tenantSlug": None},
        {"email": new_email()},
        {"email": "no address"},
    ]

    answers = [await tenant.client.post("/auth/forgot-password", json=body) for body in bodies]

    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}


async def test_change_password_for_the_authenticated_user(tenant: Web) -> None:
    """The session that changes it goes on, the others end (PW-06)."""
    owner = await company(tenant.service, "admin")
    here = owner.session.tokens.access_token
    elsewhere = await tenant.signed_in(owner.email)
    body = {"currentPassword": PASSWORD, "newPassword": OTHER_PASSWORD}

    wrong = await tenant.call(
        "POST", "/auth/change-password", {**body, "currentPassword": "wrong"}, bearer=here, status=401
    )
    weak = await tenant.call("POST", "/auth/change-password", {**body, "newPassword": "short"}, bearer=here, status=400)
    await tenant.call("POST", "/auth/change-password", body, status=401)
    done = await tenant.call("POST", "/auth/change-password", body, bearer=here)

    assert wrong == {"message": "Current password is incorrect", "code": "INVALID_CREDENTIALS"}
    assert [fault["field"] for fault in weak["errors"]] == ["newPassword"]
    assert done == {"message": "Password changed successfully"}
    await tenant.call("GET", "/auth/me", bearer=here)
    await tenant.call("GET", "/auth/me", bearer=elsewhere, status=401)
    await tenant.call("POST", "/auth/login", {"email": owner.email, "password": OTHER_PASSWORD})
