"""The organization product over HTTP: the examples of its document, and the mails."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.rest.dialects.organizations import JOHN, OTHER, PASSWORD, page, registered, session, sign_in
from tests.rest.web import Web
from tests.running import bearer, new_email

from identity_pb.v1 import account_service_pb2 as accounts

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DONE = {"success": True}
INVALID: tuple[tuple[dict[str, Any], str, str], ...] = (
    ({"organizationName": "A"}, "INVALID_REQUEST", "organizationName"),
    ({"organizationName": "A" * 256}, "INVALID_REQUEST", "organizationName"),
    ({"firstName": ""}, "INVALID_REQUEST", "firstName"),
    ({"lastName": "D" * 101}, "INVALID_REQUEST", "lastName"),
    ({"email": "john"}, "INVALID_REQUEST", "email"),
    ({"email": None}, "INVALID_REQUEST", "email"),
    ({"password": "x" * 101}, "INVALID_REQUEST", "password"),
    ({"password": "secret1"}, "PASSWORD_TOO_SHORT", "password"),
)


async def test_the_document_from_top_to_bottom(front: Web) -> None:
    """Register, verify, sign in, read the session, sign out, forget the password, choose another."""
    email = new_email()
    body = {**JOHN, "organizationName": "Alpine Club", "email": email, "password": PASSWORD}

    created = await front.call("POST", "/api/auth/register", body, status=201)
    assert list(created) == ["success", "message", "user", "organization"]
    user, organization = created["user"], created["organization"]
    assert created["message"] == "Account created successfully. Please check your email to verify your account."
    assert user == {"id": user["id"], "email": email, "firstName": "John", "lastName": "Doe"}
    assert organization == {"id": organization["id"], "name": "Alpine Club", "slug": organization["slug"]}
    assert organization["slug"].startswith("alpine-club")
    assert UUID.fullmatch(user["id"]) and UUID.fullmatch(organization["id"])

    assert (await sign_in(front, email, status=403))["code"] == "EMAIL_NOT_VERIFIED"
    front.service.clock.advance(minutes=2)
    assert await front.call("POST", "/api/auth/resend-verification", {"email": email}) == DONE
    token = await front.service.mailbox.token(email, 2)
    assert await front.call("POST", "/api/auth/verify-email", {"token": token}) == DONE

    assert (await sign_in(front, email))["success"] is True
    assert await session(front) == {
        "user": {
            "id": user["id"],
            "email": email,
            "name": "John Doe",
            "organizationId": organization["id"],
            "role": "admin",
        },
        "expires": (await session(front))["expires"],
    }
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", (await session(front))["expires"])
    assert (await front.call("POST", "/api/auth/signout", headers=page(front)))["success"] is True
    assert await session(front) == {}

    front.service.clock.advance(minutes=2)
    assert await front.call("POST", "/api/auth/forgot-password", {"email": email}) == DONE
    token = await front.service.mailbox.token(email, subject="Choose a new password")
    assert await front.call("POST", "/api/auth/reset-password", {"token": token, "password": OTHER}) == DONE
    assert (await sign_in(front, email, status=401))["code"] == "INVALID_CREDENTIALS"
    await sign_in(front, email, OTHER)


async def test_Z_24_a_taken_address_gets_the_same_answer_and_its_owner_a_mail(front: Web) -> None:
    email = await registered(front)
    front.service.clock.advance(minutes=2)

    body = {**JOHN, "email": email, "password": PASSWORD}
    again, anew = [
        await front.call("POST", "/api/auth/register", each, status=201)
        for each in (body, {**body, "email": new_email()})
    ]

    assert shape(again) == shape(anew) and again["message"] == anew["message"]
    assert again["user"]["id"] != (await owner(front, email))["id"]
    assert await front.service.mailbox.wait(email, 2)


async def test_bad_input_is_told_by_the_products_own_names(front: Web) -> None:
    for changes, code, field in INVALID:
        body = {**JOHN, "email": new_email(), "password": PASSWORD, **changes}
        refused = await front.call("POST", "/api/auth/register", body, status=400)
        assert (refused["success"], refused["code"]) == (False, code)
        assert [error["field"] for error in refused["errors"]] == [field]


async def test_Z_06_eight_to_a_hundred_characters_count_to_the_last_one(front: Web) -> None:
    """The document allows six; its hundred are honoured without a cut."""
    longest = "Aa1-" * 25
    email = await registered(front, longest)

    await sign_in(front, email, f"{longest[:-1]}x", status=401)
    await sign_in(front, email, longest)
    await registered(front, "xkq-wvzj")


async def test_Z_29_asking_for_a_mail_is_alike_for_every_address(front: Web) -> None:
    """Known, unknown, or none at all; the second call within a minute as well."""
    email = await registered(front)
    front.service.clock.advance(minutes=2)

    for path in ("/api/auth/forgot-password", "/api/auth/resend-verification"):
        for address in (email, email, new_email(), "no address"):
            assert await front.call("POST", path, {"email": address}) == DONE

    await front.service.mails_sent(tenant_name="The Last")
    assert front.service.mailbox.count(email) == 2, "the first verification, and one of the resets"


@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/auth/verify-email", {}), ("/api/auth/reset-password", {"password": OTHER})],
)
async def test_mailed_tokens_that_nobody_sent_are_unknown(front: Web, path: str, body: dict[str, str]) -> None:
    refused = await front.call("POST", path, {**body, "token": "x" * 43}, status=404)

    assert refused["code"] == "LINK_NOT_FOUND"


async def test_N_07_mailed_tokens_work_once(front: Web) -> None:
    email = await registered(front)
    token = await front.service.mailbox.token(email)
    assert (await front.call("POST", "/api/auth/verify-email", {"token": token}, status=400))["code"] == "LINK_USED"

    front.service.clock.advance(minutes=2)
    await front.call("POST", "/api/auth/forgot-password", {"email": email})
    body = {"token": await front.service.mailbox.token(email, subject="Choose a new password"), "password": OTHER}
    await front.call("POST", "/api/auth/reset-password", body)
    assert (await front.call("POST", "/api/auth/reset-password", body, status=400))["code"] == "LINK_USED"


async def test_PW_07_a_temporary_password_gets_no_session(front: Web) -> None:
    email, admin = new_email(), await front.service.login(await registered(front), PASSWORD)
    wish = accounts.CreateAccountRequest(email=email, name="Jane Doe", role="member")
    await front.service.accounts.CreateAccount(wish, metadata=bearer(admin.tokens.access_token))

    refused = await sign_in(front, email, await front.service.mailbox.alone(email, r"\S{16,}"), status=403)

    assert refused["code"] == "PASSWORD_CHANGE_REQUIRED"
    assert await session(front) == {}


async def test_LG_04_a_source_that_failed_too_often_is_told_to_wait(front: Web) -> None:
    headers = {**page(front), **await front.exhausted()}
    body = {"email": new_email(), "password": PASSWORD}

    answer = await front.client.post("/api/auth/callback/credentials", json=body, headers=headers)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "900")


@pytest_asyncio.fixture
async def front(organization: Web) -> AsyncIterator[Web]:
    """A browser without cookies."""
    async with organization.another() as web:
        yield web


async def owner(front: Web, email: str) -> Any:
    """Who has an address, as the session tells."""
    await sign_in(front, email)
    return (await session(front))["user"]


def shape(answer: Any) -> list[str]:
    return [*answer, *answer["user"], *answer["organization"]]
