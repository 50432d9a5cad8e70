"""The companies' web app against the container: its document's examples over HTTP, gRPC, a database and SMTP."""

from __future__ import annotations

from itertools import count
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from tests.company import Person, company, in_two, member
from tests.conftest import Launch
from tests.rest.dialects.conforming import conforming
from tests.rest.web import Web, browsing
from tests.running import PASSWORD, new_email

from identity.rest.dialect import load_dialect
from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import tenant_service_pb2 as tenants

PERSON = ["id", "email", "firstName", "lastName", "role", "roleLevel"]
_numbers = count(1)


# Becoming somebody.


async def test_create_a_new_tenant_and_admin_user(tenant: Web) -> None:
    email, body = new_email(), registration("Acme Corporation")

    answer = await tenant.call("POST", "/auth/register", {**body, "email": email}, status=201)

    assert list(answer) == ["accessToken", "refreshToken", "user", "tenant"]
    assert list(answer["user"].items()) == [
        ("id", str(tenant.service.account(email).id)),
        ("email", email),
        ("firstName", "John"),
        ("lastName", "Doe"),
        ("role", "admin"),
        ("roleLevel", 100),
    ]
    assert list(answer["tenant"]) == ["id", "slug", "companyName"]
    assert UUID(answer["tenant"]["id"])
    assert (answer["tenant"]["slug"], answer["tenant"]["companyName"]) == ("acme-corporation", "Acme Corporation")
    assert (await tenant.call("GET", "/auth/me", bearer=answer["accessToken"]))["tenant"] == {
        "slug": "acme-corporation",
        "companyName": "Acme Corporation",
    }


async def test_Z_24_a_taken_address_or_name_is_409_without_saying_which(tenant: Web) -> None:
    body = registration()
    await tenant.call("POST", "/auth/register", body, status=201)

    answers = [
        await tenant.client.post("/auth/register", json={**body, **change})
        for change in ({"email": new_email()}, {"companyName": "Another one entirely"})
    ]

    assert {(answer.status_code, answer.content) for answer in answers} == {(409, answers[0].content)}
    assert answers[0].json() == {"message": "Email or company name already exists", "code": "ALREADY_REGISTERED"}


@pytest.mark.parametrize("fresh_database", ["sqlite"], indirect=True, scope="session")  # no database has a say
@pytest.mark.parametrize(
    ("change", "at_fault"),
    [
        ({"password": "short"}, "password"),
        ({"password": None}, "password"),
        ({"companyName": ""}, "companyName"),
        ({"companyName": "x" * 256}, "companyName"),
        ({"firstName": None}, "firstName"),
        ({"lastName": "x" * 101}, "lastName"),
        ({"email": "nobody"}, "email"),
    ],
)
async def test_invalid_input_is_told_by_the_documents_names(tenant: Web, change: Any, at_fault: str) -> None:
    refused = await tenant.call("POST", "/auth/register", {**registration(), **change}, status=400)

    assert [fault["field"] for fault in refused["errors"]] == [at_fault]


# Signing in.


async def test_authenticate_and_receive_tokens(tenant: Web) -> None:
    """Somebody with everything that the document shows: a picture, a department and a team."""
    owner = await company(tenant.service, "admin")
    jane = await placed(tenant, owner)
    slug = owner.session.tenant.slug

    body = {"tenantSlug": slug, "email": jane.email, "password": PASSWORD}
    answer = await tenant.call("POST", "/auth/login", body)

    assert list(answer) == ["accessToken", "refreshToken", "user"]
    assert list(answer["user"].items()) == [
        ("id", jane.id),
        ("email", jane.email),
        ("firstName", "Jane"),
        ("lastName", "Smith"),
        ("role", "user"),
        ("roleLevel", 10),
        ("avatar", "/uploads/avatars/uuid.jpg"),
        ("departmentId", "dept-uuid"),
        ("teamIds", ["team-uuid-1"]),
    ]
    me = await tenant.call("GET", "/auth/me", bearer=answer["accessToken"])
    assert list(me.items())[:9] == list(answer["user"].items())
    assert list(me)[9:] == ["permissions", "tenant"]
    assert me["tenant"] == {"slug": slug, "companyName": owner.session.tenant.name}


async def test_what_somebody_has_not_got_is_null_or_empty(tenant: Web) -> None:
    """A front end that goes through `teamIds` finds a list."""
    email = await tenant.service.verified(role="admin", tenant_name=f"Plain {next(_numbers)}", first_name="Ann")

    answer = await tenant.call("POST", "/auth/login", {"email": email, "password": PASSWORD})

    missing: dict[str, Any] = {"avatar": None, "departmentId": None, "teamIds": []}
    assert list(answer["user"]) == [*PERSON, *missing]
    assert answer["user"] == {**answer["user"], **missing}
    assert (answer["user"]["firstName"], answer["user"]["lastName"]) == ("Ann", "")


async def test_the_permission_matrix_in_the_order_of_the_document(tenant: Web) -> None:
    owner = await company(tenant.service, "admin")
    wish = tenants.PutRoleRequest(key="sales", name="Sales Representative", level=20)
    for action, granted in {"delete": False, "edit": True, "create": True, "view": True}.items():
        wish.permissions["leads"].actions[action] = granted
    wish.permissions["accounts"].actions["view"] = True
    await tenant.service.tenants.PutRole(wish, metadata=owner.metadata)
    jane = await member(tenant.service, owner, "sales")

    me = await tenant.call("GET", "/auth/me", bearer=jane.session.tokens.access_token)

    assert list(me["permissions"]) == ["accounts", "leads"]
    leads = [("view", True), ("create", True), ("edit", True), ("delete", False)]
    assert list(me["permissions"]["leads"].items()) == leads


async def test_Z_04_an_unknown_tenant_is_a_wrong_password(tenant: Web) -> None:
    owner = await company(tenant.service, "admin")
    other = await company(tenant.service, "admin")
    right = {"tenantSlug": owner.session.tenant.slug, "email": owner.email, "password": PASSWORD}

    failures = [
        await tenant.client.post("/auth/login", json={**right, **change})
        for change in (
            {"password": "wrong"},
            {"tenantSlug": "nowhere"},
            {"tenantSlug": other.session.tenant.slug},
            {"email": new_email()},
        )
    ]

    assert {(failure.status_code, failure.content) for failure in failures} == {(401, failures[0].content)}
    assert failures[0].json() == {"message": "Invalid credentials", "code": "INVALID_CREDENTIALS"}
    await tenant.call("POST", "/auth/login", right)


@pytest.mark.parametrize("fresh_database", ["sqlite"], indirect=True, scope="session")  # no database has a say
async def test_Z_04_where_slugs_are_public_an_unknown_tenant_is_404(launch: Launch) -> None:
    service = await launch(preset="tenant", policy={"tells_unknown_tenants": True}, rest_address="127.0.0.1:0")
    async with browsing(service, event_hooks={"response": [conforming(load_dialect("tenant"))]}) as web:
        owner = await company(service, "admin")
        body = {"tenantSlug": "nowhere", "email": owner.email, "password": PASSWORD}
        refused = await web.call("POST", "/auth/login", body, status=404)

    assert refused == {"message": "Tenant not found", "code": "TENANT_NOT_FOUND"}


async def test_who_belongs_to_several_companies_says_which(tenant: Web) -> None:
    """Only after the right password is told which there are; with a slug it is as documented."""
    email, one, two = await in_two(tenant.service, "admin")
    slugs = [person.session.tenant.slug for person in (one, two)]

    asked = await tenant.call("POST", "/auth/login", {"email": email, "password": PASSWORD}, status=400)
    guessed = await tenant.call("POST", "/auth/login", {"email": email, "password": "wrong"}, status=401)
    body = {"tenantSlug": slugs[1], "email": email, "password": PASSWORD}
    answer = await tenant.call("POST", "/auth/login", body)

    assert all(slug in asked["message"] for slug in slugs)
    assert [fault["field"] for fault in asked["errors"]] == ["tenantSlug"]
    assert guessed["code"] == "INVALID_CREDENTIALS"
    assert (await tenant.call("GET", "/auth/me", bearer=answer["accessToken"]))["tenant"]["slug"] == slugs[1]


async def test_LG_07_a_second_factor_is_never_skipped(tenant: Web) -> None:
    owner = await company(tenant.service, "admin")
    wish = factors.SetEmailOtpRequest(enabled=True, current_password=PASSWORD)
    await tenant.service.factors.SetEmailOtp(wish, metadata=owner.metadata)

    refused = await tenant.call("POST", "/auth/login", {"email": owner.email, "password": PASSWORD}, status=403)

    assert (refused["code"], "/v1/login" in refused["message"]) == ("MFA_REQUIRED", True)


async def test_PW_07_a_temporary_password_can_only_be_changed(tenant: Web) -> None:
    owner = await company(tenant.service, "admin")
    email = new_email()
    wish = accounts.CreateAccountRequest(email=email, first_name="Jane", last_name="Smith", role="user")
    await tenant.service.accounts.CreateAccount(wish, metadata=owner.metadata)
    password = await tenant.service.mailbox.alone(email, r"\S{16,}")

    first = await tenant.call("POST", "/auth/login", {"email": email, "password": password})
    assert first["refreshToken"] is None
    await tenant.call("GET", "/auth/me", bearer=first["accessToken"])
    body = {"currentPassword": password, "newPassword": PASSWORD}
    await tenant.call("POST", "/auth/change-password", body, bearer=first["accessToken"])

    again = await tenant.call("POST", "/auth/login", {"email": email, "password": PASSWORD})
    assert again["refreshToken"]


async def test_me_is_for_who_is_signed_in(tenant: Web) -> None:
    for token in ("", "no token"):
        refused = await tenant.call("GET", "/auth/me", bearer=token, status=401)
        assert refused["message"]


async def test_exchange_a_refresh_token_for_new_tokens(tenant: Web) -> None:
    """It rotates; what is used again, foreign or no token at all is 401 (Z-08)."""
    owner = await company(tenant.service, "admin")
    first = owner.session.tokens.refresh_token

    answer = await tenant.call("POST", "/auth/refresh", {"refreshToken": first})
    assert list(answer) == ["accessToken", "refreshToken"]
    await tenant.call("GET", "/auth/me", bearer=answer["accessToken"])
    tenant.service.clock.advance(seconds=11)
    reused = await tenant.call("POST", "/auth/refresh", {"refreshToken": first}, status=401)

    assert reused == {"message": "Invalid or expired refresh token", "code": "TOKEN_REUSED"}
    for token in (answer["refreshToken"], "eyJhbGciOiJIUzI1NiIs..."):
        refused = await tenant.call("POST", "/auth/refresh", {"refreshToken": token}, status=401)
        assert refused["message"] == "Invalid or expired refresh token"


# People.


def registration(company_name: str = "") -> dict[str, str]:
    """What the app sends to register a company."""
    return {
        "email": new_email(),
        "password": PASSWORD,
        "companyName": company_name or f"Registered {next(_numbers)}",
        "firstName": "John",
        "lastName": "Doe",
    }


async def placed(tenant: Web, owner: Person) -> Person:
    """A member with a picture, a department and a team."""
    person = await member(tenant.service, owner)
    calls = tenant.service.accounts
    picture = accounts.AccountChanges(avatar_url="/uploads/avatars/uuid.jpg")
    await calls.UpdateAccount(
        accounts.UpdateAccountRequest(id=person.id, changes=picture, update_mask=FieldMask(paths=["avatar_url"])),
        metadata=person.metadata,
    )
    place = accounts.AccountChanges(department_id="dept-uuid", team_ids=["team-uuid-1"])
    await calls.UpdateAccount(
        accounts.UpdateAccountRequest(
            id=person.id, changes=place, update_mask=FieldMask(paths=["department_id", "team_ids"])
        ),
        metadata=owner.metadata,
    )
    return person
