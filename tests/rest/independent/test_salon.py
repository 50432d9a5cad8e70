"""The salon's document from top to bottom, by front ends that were written from it alone.

The web app lives on another origin, as a page that `IDENTITY_CORS_ORIGINS` names; the phone app sends no origin.

Where the document asks for something unsafe the service keeps its shapes, and the front ends see this: temporary
passwords sign in once, to change them (Z-20); changing a password without a bearer has the answers of a sign-in
(Z-03); a used refresh token ends its session (Z-19).
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.conftest import Launch
from tests.rest.independent.salon_client import SalonClient
from tests.rest.independent.senders import Blocked, a_browser, an_app, claims_of, json_of, types_of
from tests.running import Running, new_email

PAGE = "https://app.salon.example"
OWNER = "owner@salon.example"
PASSWORD, OTHER, THIRD = "kr7hVw2x", "zeven-lantaarns-op-rij", "een kalme rivier"

USER = {"id": int, "name": str, "email": str, "role": str, "require_password_change": bool}
SESSION = {"token": str, "user": USER}
LASTING_SESSION = {"token": str, "refresh_token": str, "user": USER}


async def test_a_front_end_written_from_the_document_works_with_the_salon_dialect(launch: Launch) -> None:
    service = await launch(preset="salon", rest_address="127.0.0.1:0", cors_origins=PAGE)
    async with a_browser(service, PAGE) as browser, an_app(service) as fetch:
        admin, phone = SalonClient(browser.fetch), SalonClient(fetch, base="/auth")

        await _only_the_named_page_may_call(service)
        await _sets_the_salon_up(admin)
        await _signs_in(admin, phone, service)
        staff = await _lets_a_colleague_in(admin, SalonClient(browser.fetch), service)
        await _changes_a_password(SalonClient(browser.fetch), staff, service)
        await _keeps_devices(phone, SalonClient(fetch), staff)
        await _stays_signed_in(phone, service)
        await _signs_out(admin, phone)
        await _forgets_a_password(SalonClient(browser.fetch), staff, service)


async def _only_the_named_page_may_call(service: Running) -> None:
    async with a_browser(service, "https://elsewhere.example") as browser:
        stranger = SalonClient(browser.fetch)
        with pytest.raises(Blocked):
            await stranger.setup_status()
        with pytest.raises(Blocked):
            await stranger.login(OWNER, PASSWORD)


async def _sets_the_salon_up(admin: SalonClient) -> None:
    answers: dict[str, Any] = {
        "admin_name": "Ans de Vries",
        "admin_email": OWNER,
        "admin_password": PASSWORD,
        "salon_name": "Salon Zeven",
        "salon_email": "hallo@salon.example",
        "salon_phone": "+31 20 123 4567",
        "salon_address": "Keizersgracht 7, Amsterdam",
        "opening_hours": [
            {"day_of_week": 0, "open_time": None, "close_time": None, "is_closed": True},
            {"day_of_week": 1, "open_time": "09:00", "close_time": "17:30", "is_closed": False},
        ],
    }
    assert json_of(await admin.setup_status()) == {"needsSetup": True}
    json_of(await admin.setup(**{**answers, "admin_password": PASSWORD[:7]}), 400)
    json_of(await admin.setup(**{key: answers[key] for key in answers if key != "salon_name"}), 400)

    made = json_of(await admin.setup(**answers), 201)

    assert types_of(made) == {"token": str, "user": {"id": int, "name": str, "role": str}}
    assert (made["user"]["name"], made["user"]["role"]) == ("Ans de Vries", "admin")
    assert [user["email"] for user in json_of(await admin.users())] == [OWNER]
    assert json_of(await admin.setup_status()) == {"needsSetup": False}
    json_of(await admin.setup(**answers), 400)


async def _signs_in(admin: SalonClient, phone: SalonClient, service: Running) -> None:
    json_of(await admin.login(OWNER, OTHER), 401)
    json_of(await admin.login("nobody@salon.example", PASSWORD), 401)

    session = json_of(await admin.login(OWNER, PASSWORD))
    assert types_of(session) == SESSION
    assert session["user"] == {**session["user"], "email": OWNER, "role": "admin", "require_password_change": False}
    assert types_of(json_of(await admin.login(OWNER, PASSWORD, mobile=False))) == SESSION
    assert types_of(json_of(await phone.login(OWNER, PASSWORD, mobile=True))) == LASTING_SESSION
    claims = claims_of(phone.token)
    assert claims["exp"] - claims["iat"] == 8 * 60 * 60

    service.clock.advance(hours=8, minutes=2)
    json_of(await phone.users(), 401)
    await admin.login(OWNER, PASSWORD)


async def _lets_a_colleague_in(admin: SalonClient, staff: SalonClient, service: Running) -> str:
    """The address of a colleague, whose password is then `PASSWORD`."""
    email = new_email()
    json_of(await staff.register(email, "Bo"), 401)

    made = json_of(await admin.register(email, "Bo Bakker"))
    assert types_of(made) == {"id": int, "email": str, "role": str, "name": str}
    assert made == {**made, "email": email, "role": "staff", "name": "Bo Bakker"}
    json_of(await admin.register(email, "Bo Bakker"), 409)
    assert json_of(await admin.register(new_email(), "Cas", role="admin"))["role"] == "admin"
    json_of(await admin.register("not an address", "Bo"), 400)

    users = json_of(await admin.users())
    assert types_of(users) == [{"id": int, "name": str, "email": str, "role": str}]
    assert {key: made[key] for key in ("id", "name", "email", "role")} in users

    temporary = await service.mailbox.alone(email, r"\S{10,}")
    assert json_of(await staff.login(email, temporary))["user"]["require_password_change"] is True
    json_of(await staff.users(), 403)
    assert (await staff.change_password(email, temporary, PASSWORD)).is_success
    assert json_of(await staff.login(email, PASSWORD))["user"]["require_password_change"] is False
    json_of(await staff.users(), 403)
    json_of(await staff.register(new_email(), "Dirk"), 403)
    return email


async def _changes_a_password(staff: SalonClient, email: str, service: Running) -> None:
    """The document wants a token and no look at it: one who has none changes the password as well."""
    confirmations = service.mailbox.count(email)
    json_of(await staff.login(email, PASSWORD))
    for current, new in ((PASSWORD, OTHER), (OTHER, PASSWORD)):
        json_of(await staff.change_password(email, current, new, THIRD), 400)
        json_of(await staff.change_password(email, new, THIRD), 401)
        json_of(await staff.change_password(email, current, "kort-is"), 400)
        assert (await staff.change_password(email, current, new)).status_code == 200
        confirmations += 1
        await service.mailbox.wait(email, confirmations)
        staff.token = ""
        json_of(await staff.login(email, current), 401)
    json_of(await staff.change_password("nobody@salon.example", PASSWORD, OTHER), 401)


async def _keeps_devices(phone: SalonClient, other: SalonClient, staff: str) -> None:
    json_of(await other.register_device("push-1", "ios"), 401)
    await phone.login(OWNER, PASSWORD, mobile=True)
    await other.login(staff, PASSWORD, mobile=True)

    for platform in ("ios", "android", "web"):
        assert (await phone.register_device(f"push-{platform}", platform)).is_success
    assert (await phone.register_device("t" * 512, "ios")).is_success
    json_of(await phone.register_device("t" * 513, "ios"), 400)
    json_of(await phone.register_device("push-1", "windows"), 400)
    assert (await other.register_device("push-ios", "ios")).is_success
    for device in (phone, other):
        assert (await device.remove_device("push-ios")).is_success
    other.token = ""
    json_of(await other.remove_device("push-web"), 401)


async def _stays_signed_in(phone: SalonClient, service: Running) -> None:
    await phone.login(OWNER, PASSWORD, mobile=True)
    before, first = phone.token, phone.refresh_token
    service.clock.advance(minutes=5)

    session = json_of(await phone.refresh())
    assert types_of(session) == LASTING_SESSION
    assert session["user"]["email"] == OWNER
    assert (session["token"], session["refresh_token"]) != (before, first)
    service.clock.advance(minutes=5)
    json_of(await phone.refresh(first), 401)
    json_of(await phone.refresh("no-such-token"), 401)

    await phone.login(OWNER, PASSWORD, mobile=True)
    service.clock.advance(days=29, hours=23)
    json_of(await phone.refresh())
    await phone.login(OWNER, PASSWORD, mobile=True)
    service.clock.advance(days=30, seconds=1)
    json_of(await phone.refresh(), 401)


async def _signs_out(admin: SalonClient, phone: SalonClient) -> None:
    await admin.login(OWNER, PASSWORD)
    await phone.login(OWNER, PASSWORD, mobile=True)
    assert (await phone.register_device("push-here", "android")).is_success

    assert (await phone.logout(refresh_token=phone.refresh_token, device_token="push-here")).is_success
    json_of(await phone.refresh(), 401)
    json_of(await phone.users(), 401)
    assert (await admin.logout()).is_success
    json_of(await admin.users(), 401)
    admin.token = ""
    json_of(await admin.logout(), 401)


async def _forgets_a_password(staff: SalonClient, email: str, service: Running) -> None:
    mails = service.mailbox.count(email)
    known = await staff.forgot_password(email)
    unknown = await staff.forgot_password("nobody@salon.example")
    assert (known.status_code, known.text) == (200, unknown.text)
    assert unknown.status_code == 200
    first = await service.mailbox.token(email, mails + 1)
    assert (await staff.forgot_password(email)).status_code == 200
    service.clock.advance(seconds=61)
    assert (await staff.forgot_password(email)).status_code == 200
    second = await service.mailbox.token(email, mails + 2)
    assert service.mailbox.count(email) == mails + 2

    json_of(await staff.reset_password(email, "no-such-token", OTHER), 400)
    json_of(await staff.reset_password("nobody@salon.example", second, OTHER), 400)
    json_of(await staff.reset_password(email, second, "kort-is"), 400)
    assert (await staff.reset_password(email, second, OTHER)).status_code == 200
    await service.mailbox.wait(email, mails + 3)
    for spent in (first, second):
        json_of(await staff.reset_password(email, spent, THIRD), 400)
    json_of(await staff.login(email, OTHER))

    service.clock.advance(minutes=2)
    await staff.forgot_password(email)
    late = await service.mailbox.token(email, mails + 4)
    service.clock.advance(minutes=60, seconds=1)
    json_of(await staff.reset_password(email, late, THIRD), 400)
