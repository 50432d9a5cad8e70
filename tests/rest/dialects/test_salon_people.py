"""The salon's people: those whom administrators let in, their passwords, and their push devices."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rest.dialects.salon_people import TEMPORARY, Opened, change, devices, hired, more_staff
from tests.rest.web import Web
from tests.running import OTHER_PASSWORD, PASSWORD, new_email

from identity.rest.dialects import salon as dialect

RESET, CHANGED = "nieuw wachtwoord", "wachtwoord is gewijzigd"

# Users.


async def test_an_admin_creates_a_user_who_gets_a_temporary_password(salon: Web, opened: Opened) -> None:
    """Who signs in with it can only change it, and sign out (Z-20, PW-07)."""
    email, admin = new_email(), await salon.signed_in(opened.email)

    made = await salon.call("POST", "/api/auth/register", {"email": email, "name": "Kapper"}, bearer=admin)
    number = salon.service.account(email).number
    assert list(made.items()) == [("id", number), ("email", email), ("role", "staff"), ("name", "Kapper")]
    password = await salon.service.mailbox.alone(email, TEMPORARY)
    first = await salon.call("POST", "/api/auth/login", {"email": email, "password": password, "mobile": True})
    assert list(first) == ["token", "user"]
    assert (first["user"]["require_password_change"], first["user"]["role"]) == (True, "staff")
    refused = await salon.call("GET", "/api/auth/users", bearer=first["token"], status=403)
    assert refused["code"] == "PASSWORD_CHANGE_REQUIRED"
    device = {"token": "t", "platform": "web"}
    await salon.call("POST", "/api/auth/device", device, bearer=first["token"], status=403)
    await salon.call("POST", "/api/auth/change-password", change(email, password, PASSWORD), bearer=first["token"])

    second = await salon.call("POST", "/api/auth/login", {"email": email, "password": PASSWORD})
    assert second["user"]["require_password_change"] is False
    await salon.call("POST", "/api/auth/login", {"email": email, "password": password}, status=401)


async def test_a_taken_address_is_409(salon: Web, opened: Opened) -> None:
    admin = await salon.signed_in(opened.email)

    taken = await salon.call(
        "POST", "/api/auth/register", {"email": opened.email, "name": "Admin"}, bearer=admin, status=409
    )

    assert taken == {"error": "Email address already registered", "code": "EMAIL_TAKEN"}


async def test_only_admins_create_and_list_users(salon: Web, opened: Opened) -> None:
    staff = await salon.signed_in(await hired(salon, opened))
    body = {"email": new_email(), "name": "Kapper", "role": "admin"}

    for token, status in (("", 401), ("no token", 401), (staff, 403)):
        await salon.call("POST", "/api/auth/register", body, bearer=token, status=status)
        await salon.call("GET", "/api/auth/users", bearer=token, status=status)

    admin = await salon.signed_in(opened.email)
    assert (await salon.call("POST", "/api/auth/register", body, bearer=admin))["role"] == "admin"
    unknown = await salon.call("POST", "/api/auth/register", {**body, "role": "owner"}, bearer=admin, status=400)
    assert unknown["code"] == "ROLE_NOT_ALLOWED"


async def test_Z_23_all_users_however_many(salon: Web, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array over every page, up to a bound that no salon reaches."""
    admin = await salon.signed_in(opened.email)
    await more_staff(salon, admin, 5)
    monkeypatch.setattr(dialect, "PAGE", 2)

    users = await salon.call("GET", "/api/auth/users", bearer=admin)

    assert len(users) >= 6
    assert [user["id"] for user in users] == sorted({user["id"] for user in users})
    assert list(users[0].items()) == [
        ("id", salon.service.account(opened.email).number),
        ("name", "Admin"),
        ("email", opened.email),
        ("role", "admin"),
    ]
    monkeypatch.setattr(dialect, "MOST_USERS", 4)
    refused = await salon.call("GET", "/api/auth/users", bearer=admin, status=400)
    assert "/v1/accounts" in refused["error"]


# Passwords.


async def test_a_forgotten_password(salon: Web, opened: Opened) -> None:
    """From the mail to a new password, which ends the sessions, kills the other links and is confirmed by mail."""
    email = await hired(salon, opened)
    phone = await salon.call("POST", "/api/auth/login", {"email": email, "password": PASSWORD, "mobile": True})
    tokens = []
    for number in (1, 2):
        salon.service.clock.advance(seconds=61)
        await salon.call("POST", "/api/auth/forgot-password", {"email": email})
        tokens.append(await salon.service.mailbox.token(email, number, subject=RESET))

    stranger = {"email": opened.email, "token": tokens[1], "password": OTHER_PASSWORD}
    body = {"email": email, "token": tokens[1], "password": OTHER_PASSWORD}
    for wrong in (stranger, {**body, "token": tokens[0]}, {**body, "token": "unknown"}):
        refused = await salon.call("POST", "/api/auth/reset-password", wrong, status=400)
        assert refused["error"] == "Invalid or expired token"
    weak = await salon.call("POST", "/api/auth/reset-password", {**body, "password": "short"}, status=400)
    assert [fault["field"] for fault in weak["fields"]] == ["password"]
    await salon.call("POST", "/api/auth/reset-password", body)

    await salon.call("POST", "/api/auth/reset-password", body, status=400)
    await salon.call("POST", "/api/auth/refresh", {"refresh_token": phone["refresh_token"]}, status=401)
    await salon.call("POST", "/api/auth/login", {"email": email, "password": OTHER_PASSWORD})
    await salon.service.mailbox.titled(email, CHANGED, 2)  # the temporary password was the first


async def test_RC_02_a_reset_link_lives_for_an_hour(salon: Web, opened: Opened) -> None:
    email = await hired(salon, opened)
    salon.service.clock.advance(seconds=61)
    await salon.call("POST", "/api/auth/forgot-password", {"email": email})
    token = await salon.service.mailbox.token(email, subject=RESET)
    salon.service.clock.advance(hours=1)

    body = {"email": email, "token": token, "password": OTHER_PASSWORD}
    refused = await salon.call("POST", "/api/auth/reset-password", body, status=400)

    assert refused["code"] == "LINK_EXPIRED"


async def test_Z_29_forgetting_looks_the_same_for_everybody(salon: Web, opened: Opened) -> None:
    bodies = [{"email": email} for email in (opened.email, opened.email, new_email(), "no address")]

    answers = [await salon.client.post("/api/auth/forgot-password", json=body) for body in bodies]

    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}


async def test_change_password_needs_two_that_match(salon: Web, opened: Opened) -> None:
    body = {**change(opened.email, PASSWORD, OTHER_PASSWORD), "confirmPassword": PASSWORD}

    refused = await salon.call("POST", "/api/auth/change-password", body, bearer=opened.token, status=400)

    assert (refused["error"], refused["fields"][0]["field"]) == ("Passwords do not match", "confirmPassword")


async def test_Z_03_address_and_password_are_proof_enough(salon: Web, opened: Opened) -> None:
    """With the own bearer, with none, or with a stale one; never for somebody else than the bearer's account."""
    email = await hired(salon, opened)
    token = await salon.signed_in(email)
    wrong = await salon.call(
        "POST", "/api/auth/change-password", change(email, "wrong", OTHER_PASSWORD), bearer=token, status=401
    )
    assert wrong == {"error": "Wrong current password", "code": "INVALID_CREDENTIALS"}
    foreign = change(email, PASSWORD, OTHER_PASSWORD)
    admin = await salon.signed_in(opened.email)
    await salon.call("POST", "/api/auth/change-password", foreign, bearer=admin, status=401)
    await salon.call("POST", "/api/auth/change-password", change(new_email(), PASSWORD, OTHER_PASSWORD), status=401)
    weak = await salon.call("POST", "/api/auth/change-password", change(email, PASSWORD, "short"), status=400)
    assert [fault["field"] for fault in weak["fields"]] == ["newPassword"]

    await salon.call("POST", "/api/auth/change-password", foreign, bearer=token)
    await salon.call("GET", "/v1/session", bearer=token)
    await salon.call("POST", "/api/auth/change-password", change(email, OTHER_PASSWORD, "a third horse of mine"))
    await salon.call("GET", "/v1/session", bearer=token, status=401)
    stale = change(email, "a third horse of mine", PASSWORD)
    await salon.call("POST", "/api/auth/change-password", stale, bearer=token)


# Push devices.


async def test_Z_22_a_device_token_moves_to_who_registers_it(salon: Web, opened: Opened) -> None:
    one, two = [await salon.signed_in(await hired(salon, opened)) for _ in range(2)]
    device = {"token": "d" * 512, "platform": "android"}

    answers = [await salon.call("POST", "/api/auth/device", device, bearer=token) for token in (one, two, two)]

    assert answers == [{"message": "Device registered"}] * 3
    assert [await devices(salon, token) for token in (one, two)] == [[], ["PUSH_PLATFORM_ANDROID"]]
    await salon.call("DELETE", "/api/auth/device", {"token": device["token"]}, bearer=one)
    assert await devices(salon, two) == ["PUSH_PLATFORM_ANDROID"]
    removed = await salon.call("DELETE", "/api/auth/device", {"token": device["token"]}, bearer=two)
    assert removed == {"message": "Device removed"}
    assert await devices(salon, two) == []


@pytest.mark.parametrize("fresh_database", ["sqlite"], indirect=True, scope="session")  # no database has a say
@pytest.mark.parametrize(
    ("device", "at_fault"),
    [
        ({"token": "d" * 513, "platform": "ios"}, "token"),
        ({"token": "", "platform": "ios"}, "token"),
        ({"token": "d", "platform": "blackberry"}, "platform"),
        ({"token": "d", "platform": 1}, "platform"),
        ({"token": "d"}, "platform"),
    ],
)
async def test_a_device_is_named_as_documented(
    salon: Web, opened: Opened, device: dict[str, Any], at_fault: str
) -> None:
    token = await salon.signed_in(opened.email)

    refused = await salon.call("POST", "/api/auth/device", device, bearer=token, status=400)

    assert [fault["field"] for fault in refused["fields"]] == [at_fault]


async def test_devices_are_of_people_who_are_signed_in(salon: Web, opened: Opened) -> None:
    device = {"token": "d", "platform": "ios"}

    await salon.call("POST", "/api/auth/device", device, status=401)
    await salon.call("DELETE", "/api/auth/device", device, status=401)
