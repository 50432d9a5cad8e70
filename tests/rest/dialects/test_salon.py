"""The salon's web app against the container: its document's examples over HTTP, gRPC, a database and SMTP."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.rest.dialects.salon_people import WIZARD, Opened, hired
from tests.rest.web import Web
from tests.running import PASSWORD, bearer, new_email

from identity_pb.v1 import factor_service_pb2 as factors

# The first run.


async def test_initial_setup(salon: Web, opened: Opened) -> None:
    assert opened.seen["before"] == {"needsSetup": True}
    assert list(opened.seen["setup"]) == ["token", "user"]
    number = salon.service.account(opened.email).number
    assert list(opened.seen["setup"]["user"].items()) == [("id", number), ("name", "Admin"), ("role", "admin")]
    assert opened.seen["after"] == {"needsSetup": False}

    tenant = (await salon.call("GET", "/v1/tenant", bearer=opened.token))["tenant"]
    assert (tenant["kind"], tenant["name"]) == ("salon", "Salon")
    assert tenant["contact"] == {"email": "info@salon.nl", "address": "Straat 1"}
    assert tenant["openingHours"] == [
        {"dayOfWeek": 1, "openTime": "09:00", "closeTime": "18:00", "isClosed": False},
        {"dayOfWeek": 0, "isClosed": True},
    ]


async def test_Z_21_setup_works_once_for_ever(salon: Web, opened: Opened) -> None:
    again = await salon.call("POST", "/api/auth/setup", {**WIZARD, "admin_email": new_email()}, status=400)

    assert again == {"error": "Setup already completed", "code": "SETUP_DONE"}


async def test_AZ_06_from_elsewhere_the_wizard_needs_the_secret_of_the_console(salon: Web, opened: Opened) -> None:
    assert opened.seen["elsewhere"]["code"] == "BOOTSTRAP_SECRET_INVALID"
    assert opened.seen["with secret"]["code"] == "PASSWORD_TOO_SHORT"


async def test_Z_06_a_short_password_is_told_by_the_wizards_own_name_of_the_field(salon: Web, opened: Opened) -> None:
    assert [fault["field"] for fault in opened.seen["weak"]["fields"]] == ["admin_password"]


@pytest.mark.parametrize("fresh_database", ["sqlite"], indirect=True, scope="session")  # no database has a say
@pytest.mark.parametrize(
    ("change", "at_fault"),
    [
        ({"admin_name": ""}, "admin_name"),
        ({"admin_email": "nobody"}, "admin_email"),
        ({"salon_name": None}, "salon_name"),
        ({"salon_email": "nobody"}, "salon_email"),
        ({"salon_phone": "call me"}, "salon_phone"),
        ({"opening_hours": [{"day_of_week": 7, "is_closed": True}]}, "opening_hours.0.day_of_week"),
        (
            {"opening_hours": [{"day_of_week": 1, "open_time": "9", "close_time": "18:00"}]},
            "opening_hours[0].open_time",
        ),
    ],
)
async def test_the_wizard_names_the_field_that_is_wrong(salon: Web, change: dict[str, Any], at_fault: str) -> None:
    body = {**WIZARD, "admin_email": new_email(), **change}

    refused = await salon.call("POST", "/api/auth/setup", body, status=400)

    assert [fault["field"] for fault in refused["fields"]] == [at_fault]


# Signing in and out.


async def test_log_in_with_email_and_password(salon: Web, opened: Opened) -> None:
    answer = await salon.call("POST", "/api/auth/login", {"email": opened.email, "password": PASSWORD})

    assert list(answer) == ["token", "user"]
    assert list(answer["user"].items()) == [
        ("id", salon.service.account(opened.email).number),
        ("name", "Admin"),
        ("email", opened.email),
        ("role", "admin"),
        ("require_password_change", False),
    ]
    claims = json.loads(base64.urlsafe_b64decode(answer["token"].split(".")[1] + "=="))
    assert claims["exp"] - claims["iat"] == 8 * 3600


async def test_mobile_gets_a_refresh_token_that_rotates(salon: Web, opened: Opened) -> None:
    """For 30 days of silence; the token before the newest is known again and ends the session (Z-19)."""
    wish = {"email": opened.email, "password": PASSWORD, "mobile": True}
    first = await salon.call("POST", "/api/auth/login", wish)
    assert list(first) == ["token", "refresh_token", "user"]
    salon.service.clock.advance(days=29)

    second = await salon.call("POST", "/api/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert list(second) == ["token", "refresh_token", "user"]
    assert second["user"] == first["user"]
    assert second["refresh_token"] != first["refresh_token"]
    salon.service.clock.advance(seconds=11)
    reused = await salon.call("POST", "/api/auth/refresh", {"refresh_token": first["refresh_token"]}, status=401)
    ended = await salon.call("POST", "/api/auth/refresh", {"refresh_token": second["refresh_token"]}, status=401)

    assert reused == {"error": "Invalid or expired refresh token", "code": "TOKEN_REUSED"}
    assert ended["error"] == "Invalid or expired refresh token"


async def test_LG_01_one_failure_for_everybody(salon: Web, opened: Opened) -> None:
    wrong = await salon.client.post("/api/auth/login", json={"email": opened.email, "password": "wrong"})
    nobody = await salon.client.post("/api/auth/login", json={"email": new_email(), "password": "wrong"})

    assert wrong.status_code == nobody.status_code == 401
    assert wrong.content == nobody.content
    assert wrong.json() == {"error": "Invalid credentials", "code": "INVALID_CREDENTIALS"}


async def test_log_out_revokes_what_is_sent(salon: Web, opened: Opened) -> None:
    """The bearer's session, the refresh token's, and the push device; and again without harm."""
    wish = {"email": opened.email, "password": PASSWORD, "mobile": True}
    here, phone = [await salon.call("POST", "/api/auth/login", wish) for _ in range(2)]
    device = {"token": "a phone's token", "platform": "ios"}
    await salon.call("POST", "/api/auth/device", device, bearer=phone["token"])
    body = {"refresh_token": phone["refresh_token"], "device_token": device["token"]}

    for _ in range(2):
        assert await salon.call("POST", "/api/auth/logout", body, bearer=here["token"]) == {"message": "Logged out"}

    refused = await salon.call("GET", "/api/auth/users", bearer=here["token"], status=401)
    assert refused["code"] == "SESSION_REVOKED"
    for signed_in in (here, phone):
        await salon.call("POST", "/api/auth/refresh", {"refresh_token": signed_in["refresh_token"]}, status=401)
    again = await salon.signed_in(opened.email)
    assert (await salon.call("GET", "/v1/pushDevices", bearer=again))["pushDevices"] == []


async def test_log_out_takes_no_body_and_no_stranger(salon: Web, opened: Opened) -> None:
    here = await salon.call("POST", "/api/auth/login", {"email": opened.email, "password": PASSWORD})

    await salon.call("POST", "/api/auth/logout", bearer=here["token"])
    refused = await salon.call("POST", "/api/auth/logout", {}, status=401)

    assert refused["code"] == "UNAUTHENTICATED"


async def test_the_headings_of_the_document_are_paths_too(salon: Web, opened: Opened) -> None:
    """Its base path is /api/auth and its headings say /auth: each reading finds what it looks for."""
    answer = await salon.call("POST", "/auth/login", {"email": opened.email, "password": PASSWORD})

    assert (await salon.call("GET", "/auth/users", bearer=answer["token"]))[0]["email"] == opened.email
    assert (await salon.call("GET", "/auth/nothing", status=404))["code"] == "NOT_FOUND"


async def test_LG_07_a_second_factor_is_never_skipped(salon: Web, opened: Opened) -> None:
    email = await hired(salon, opened)
    metadata = bearer((await salon.service.login(email)).tokens.access_token)
    wish = factors.SetEmailOtpRequest(enabled=True, current_password=PASSWORD)
    await salon.service.factors.SetEmailOtp(wish, metadata=metadata)

    refused = await salon.call("POST", "/api/auth/login", {"email": email, "password": PASSWORD}, status=403)

    assert (refused["code"], "/v1/login" in refused["error"]) == ("MFA_REQUIRED", True)
