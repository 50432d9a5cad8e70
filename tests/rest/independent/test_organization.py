"""The organization product's document from top to bottom, by a web app that was written from it alone.

The document names NextAuth.js, so the browser half of next-auth signs in and out as well, as versions 4 and 5 do.

Where the document asks for something unsafe the app sees this instead: a password of six or seven characters is
refused (Z-06), and registering a taken address answers as always while its owner gets a notice (Z-24). Nobody is signed
in where the session is `{}`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from tests.clock import ManualClock
from tests.conftest import Launch
from tests.rest.independent.organization_client import NextAuth, OrganizationClient
from tests.rest.independent.senders import Browser, a_browser, json_of, types_of
from tests.running import Running, new_email

PASSWORD, WRONG = "securepassword123", "wrongpassword123"
LONGEST = ("newSecurePassword123 " * 5)[:100]
DONE = {"success": True}
SESSION = {"user": {"id": str, "email": str, "name": str, "organizationId": str, "role": str}, "expires": str}
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


async def test_a_front_end_written_from_the_document_works_with_the_organization_dialect(launch: Launch) -> None:
    service = await launch(preset="organization", rest_address="127.0.0.1:0", clock=ManualClock(datetime.now(UTC)))
    async with a_browser(service) as browser, a_browser(service) as second:
        app, email = OrganizationClient(browser), new_email()

        user, organization = await _registers(app, email)
        await _proves_the_address(app, email, service)
        await _signs_in_and_out(app, browser, email, user, organization, service)
        await _forgets_the_password(app, OrganizationClient(second), email, service)
        for version, at in ((4, browser), (5, second)):
            await _signs_in_with_next_auth(NextAuth(at, version), at, email, LONGEST)
        await _keeps_other_sites_out(browser, email)


def registration(to: str, **fields: str) -> dict[str, str]:
    return {
        "organizationName": "My Company",
        "firstName": "John",
        "lastName": "Doe",
        "email": to,
        "password": PASSWORD,
        **fields,
    }


async def _registers(app: OrganizationClient, email: str) -> tuple[dict[str, Any], dict[str, Any]]:
    for field, values in {
        "organizationName": ("M", "M" * 256),
        "firstName": ("", "J" * 101),
        "lastName": ("", "D" * 101),
        "email": ("john", "john@"),
        "password": ("secure7", "s" * 101),
    }.items():
        for value in values:
            json_of(await app.register(**registration(email, **{field: value})), 400)
        whole = registration(email)
        json_of(await app.register(**{key: whole[key] for key in whole if key != field}), 400)

    for names, password in (((2, 1), "s8curely"), ((255, 100), "s" * 50 + "ecure" * 10)):
        fields = {"organizationName": "M" * names[0], "firstName": "J" * names[1], "lastName": "D" * names[1]}
        json_of(await app.register(**registration(new_email(), **fields, password=password)), 201)

    made = json_of(await app.register(**registration(email)), 201)

    assert types_of(made) == {
        "success": bool,
        "message": str,
        "user": {"id": str, "email": str, "firstName": str, "lastName": str},
        "organization": {"id": str, "name": str, "slug": str},
    }
    assert made["success"] is True
    assert made["message"] == "Account created successfully. Please check your email to verify your account."
    assert made["user"] == {"id": made["user"]["id"], "email": email, "firstName": "John", "lastName": "Doe"}
    assert made["organization"]["name"] == "My Company"
    assert made["organization"]["slug"] == "my-company"
    return made["user"], made["organization"]


async def _proves_the_address(app: OrganizationClient, email: str, service: Running) -> None:
    first = await service.mailbox.token(email)
    service.clock.advance(minutes=2)
    taken = json_of(await app.register(**registration(email, organizationName="Taken")), 201)
    assert types_of(taken)["user"] == {"id": str, "email": str, "firstName": str, "lastName": str}
    await service.mailbox.wait(email, 2)
    service.clock.advance(minutes=2)
    assert json_of(await app.resend_verification("nobody@example.org")) == DONE
    assert json_of(await app.resend_verification(email)) == DONE
    token = await service.mailbox.token(email, 3)
    assert first != token

    json_of(await app.verify_email("no-such-token"), 404)
    assert json_of(await app.verify_email(token)) == DONE


async def _signs_in_and_out(
    app: OrganizationClient,
    browser: Browser,
    email: str,
    user: dict[str, Any],
    organization: dict[str, Any],
    service: Running,
) -> None:
    assert json_of(await app.session()) == {}
    json_of(await app.login(email, WRONG), 401)
    json_of(await app.login("nobody@example.org", PASSWORD), 401)
    assert json_of(await app.session()) == {}

    assert (await app.login(email, PASSWORD)).is_success

    session = json_of(await app.session())
    assert types_of(session) == SESSION
    assert session["user"] == {
        "id": user["id"],
        "email": email,
        "name": "John Doe",
        "organizationId": organization["id"],
        "role": "admin",
    }
    assert re.fullmatch(MOMENT, session["expires"])
    assert session["expires"] > service.clock.now.isoformat()
    service.clock.advance(days=1)
    assert json_of(await app.session())["user"] == session["user"]
    cookies = browser.cookies
    assert (await app.signout()).is_success
    assert browser.cookies.keys() < cookies.keys()
    assert json_of(await app.session()) == {}

    assert (await app.login(email, PASSWORD)).is_success
    service.clock.advance(days=31)
    assert json_of(await app.session()) == {}


async def _forgets_the_password(
    app: OrganizationClient, elsewhere: OrganizationClient, email: str, service: Running
) -> None:
    assert (await elsewhere.login(email, PASSWORD)).is_success
    mails = service.mailbox.count(email)
    service.clock.advance(minutes=2)
    assert json_of(await app.forgot_password("nobody@example.org")) == DONE
    assert json_of(await app.forgot_password(email)) == DONE
    token = await service.mailbox.token(email, mails + 1)

    for refused in ("secure7", "s" * 101):
        json_of(await app.reset_password(token, refused), 400)
    json_of(await app.reset_password("no-such-token", LONGEST), 404)
    assert json_of(await app.reset_password(token, LONGEST)) == DONE

    json_of(await app.reset_password(token, PASSWORD), 400)
    assert json_of(await elsewhere.session()) == {}
    json_of(await app.login(email, PASSWORD), 401)
    json_of(await app.login(email, LONGEST[:-1]), 401)


async def _signs_in_with_next_auth(next_auth: NextAuth, browser: Browser, email: str, password: str) -> None:
    assert await next_auth.get_session() is None
    refused = await next_auth.sign_in(email, WRONG)
    assert (refused["error"], refused["url"]) == ("CredentialsSignin", None)
    assert await next_auth.get_session() is None

    signed_in = await next_auth.sign_in(email, password)

    assert signed_in == {"ok": True, "error": None, "url": f"{browser.home}/dashboard"}
    session = await next_auth.get_session()
    assert types_of(session) == SESSION
    assert (await next_auth.sign_out())["url"] == f"{browser.home}/dashboard"
    assert await next_auth.get_session() is None


async def _keeps_other_sites_out(browser: Browser, email: str) -> None:
    """A form that another site's page sends with this browser's cookies changes nothing (SE-07, Z-27)."""
    app = OrganizationClient(browser)
    assert (await app.login(email, LONGEST)).is_success
    credentials = {"email": email, "password": LONGEST}

    assert (await browser.submit_from("https://elsewhere.example", "/api/auth/signout")).status_code == 403
    answer = await browser.submit_from("https://elsewhere.example", "/api/auth/callback/credentials", **credentials)
    assert answer.status_code == 403

    assert types_of(json_of(await app.session())) == SESSION
