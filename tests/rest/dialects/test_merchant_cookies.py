"""The merchant product's cookies: what they look like, whose pages may use them, and what x-user-id may do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http.cookies import Morsel, SimpleCookie
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from tests.rest.dialects.conftest import LISTED, behind_tls
from tests.rest.dialects.merchants import PASSWORD, claims, login, registered
from tests.rest.web import Web


async def test_SE_07_cookies_are_for_this_host_alone_and_for_no_script(front: Web) -> None:
    """And what they hold stands nowhere in the body."""
    email = await registered(front, role="Manager", companyName="Radium SA")
    body = {"email": email, "password": PASSWORD, "origin": "dashboard"}

    waiting = await front.client.post("/auth/login/manager", json=body)
    code = await front.service.mailbox.alone(email, "[0-9]{6}")
    finished = await front.client.post("/auth/otp", json={"emailOtp": code})

    challenge, refresh = cookie(waiting, "otpValidationToken"), cookie(finished, f"refreshToken-{who(finished)}")
    assert challenge.value not in waiting.text and refresh.value not in finished.text
    assert 590 <= int(challenge["max-age"]) < int(refresh["max-age"])
    assert cookie(finished, "otpValidationToken")["max-age"] == "0"
    for each in (challenge, refresh):
        assert (each["httponly"], each["samesite"], each["path"], each["domain"]) == (True, "lax", "/", "")


async def test_SE_07_behind_tls_cookies_travel_over_tls_and_to_this_host_alone(front: Web) -> None:
    """And only pages of the public URL may use them, whatever the Host header says."""
    email = await registered(front)
    body = {"email": email, "password": PASSWORD, "origin": "application"}
    async with behind_tls(front, "merchant") as web:
        signed_in = await web.client.post("/auth/login", json=body)
        refresh = cookie(signed_in, "__Host-refreshToken")
        headers = {"cookie": f"__Host-refreshToken={refresh.value}", "origin": "https://id.example.org"}
        await web.call("POST", "/auth/refresh-token", headers=headers)
        await web.call(
            "POST", "/auth/refresh-token", headers={**headers, "origin": str(web.client.base_url)}, status=403
        )

    assert refresh["secure"] and cookie(signed_in, "__Host-device")["secure"]
    assert "max-age" in signed_in.headers["strict-transport-security"]


async def test_SE_07_a_page_of_a_foreign_origin_cannot_use_the_cookies(front: Web) -> None:
    """It is refused before anything happens, whatever it sends."""
    credentials = {"email": "a@example.org", "password": "x", "origin": "dashboard"}
    calls: dict[str, Any] = {
        "/auth/login": credentials,
        "/auth/login/manager": credentials,
        "/auth/otp": {"otp": "123456"},
        "/auth/otp/email": {"email": "a@example.org"},
        "/auth/refresh-token": None,
        "/auth/sign-out": None,
    }

    for path, body in calls.items():
        for origin in ("https://evil.example.com", "null", f"{LISTED}.evil.example.com"):
            refused = await front.call("POST", path, body, headers={"origin": origin}, status=403)
            assert refused["code"] == "PERMISSION_DENIED"


async def test_SE_07_own_and_listed_pages_and_apps_can(app: Web) -> None:
    own = f"http://{app.service.service.http_address}"

    for headers in ({}, {"origin": own}, {"origin": LISTED}):
        answer = await app.client.post("/auth/refresh-token", headers=headers)
        assert answer.status_code == 200

    assert answer.headers["access-control-allow-origin"] == LISTED
    assert answer.headers["access-control-allow-credentials"] == "true"
    preflight = {"origin": LISTED, "access-control-request-method": "POST"}
    allowed = await app.client.options("/auth/refresh-token", headers=preflight)
    assert "x-user-id" in allowed.headers["access-control-allow-headers"]


async def test_SE_07_a_bearer_counts_nothing_where_a_cookie_is_asked_for(app: Web, merchant: Web) -> None:
    """And a cookie nothing where a bearer is."""
    token = (await app.call("POST", "/auth/refresh-token"))["token"]

    async with merchant.another() as other:
        await other.call("POST", "/auth/refresh-token", bearer=token, status=401)
        await other.call("POST", "/auth/sign-out", bearer=token)
    await app.call("GET", "/v1/session", status=401)
    await app.call("GET", "/v1/session", bearer=token)


async def test_SE_08_a_browser_has_one_session_for_each_of_its_users(front: Web) -> None:
    """The header picks among them, and one that signs out leaves the other."""
    first, second = [await login(front, await registered(front)) for _ in range(2)]

    for answer in (first, second):
        refreshed = await front.call("POST", "/auth/refresh-token", headers=of(answer))
        assert claims(refreshed)["sid"] == claims(answer)["sid"]
    await front.call("POST", "/auth/sign-out", headers=of(first))
    await front.call("POST", "/auth/refresh-token", headers=of(first), status=401)
    await front.call("POST", "/auth/refresh-token", headers=of(second))
    await front.call("POST", "/auth/refresh-token", status=401)


async def test_SE_08_Z_16_another_users_id_gets_nothing_and_does_nothing(front: Web, merchant: Web) -> None:
    """Not with one's own cookie under its own name, nor under the other's; and one's own session goes on."""
    async with merchant.another() as others:
        other = await login(others, await registered(others))
    mine = await login(front, await registered(front))
    my_cookie = front.client.cookies[f"refreshToken-{mine['data']['user']['id']}"]

    refusals = [await front.call("POST", "/auth/refresh-token", headers=of(other), status=401)]
    front.client.cookies.set(f"refreshToken-{other['data']['user']['id']}", my_cookie)
    refusals.append(await front.call("POST", "/auth/refresh-token", headers=of(other), status=401))

    assert refusals[0] == refusals[1]
    front.service.clock.advance(seconds=11)
    await front.call("POST", "/auth/refresh-token", headers=of(mine))


@pytest.mark.parametrize("path", ["/auth/refresh-token", "/auth/sign-out"])
async def test_SE_08_what_is_no_user_id_is_refused(front: Web, path: str) -> None:
    for wrong in ("1", "../etc", "a;b", "x" * 36, str(uuid4()).upper(), str(uuid4()).replace("-", "")):
        refused = await front.call("POST", path, headers={"x-user-id": wrong}, status=401)
        assert refused["code"] == "UNAUTHENTICATED"


async def test_Z_13_the_challenge_is_taken_as_bearer_too(front: Web) -> None:
    """As the document lists it, for clients without a jar of cookies."""
    email = await manager(front)
    await login(front, email)
    challenge = front.client.cookies["otpValidationToken"]
    front.client.cookies.clear()

    code = await front.service.mailbox.alone(email, "[0-9]{6}")

    assert (await front.call("POST", "/auth/otp", {"emailOtp": code}, bearer=challenge))["token"]


async def test_Z_13_an_access_token_is_no_challenge_and_a_challenge_no_access_token(front: Web) -> None:
    token = (await login(front, await registered(front)))["token"]

    refused = await front.call("POST", "/auth/otp", {"otp": "123456"}, bearer=token, status=401)
    await login(front, await manager(front))
    challenge = front.client.cookies["otpValidationToken"]

    assert refused["code"] == "TOKEN_INVALID"
    await front.call("GET", "/v1/session", bearer=challenge, status=401)
    front.client.cookies.set("refreshToken", challenge)
    await front.call("POST", "/auth/refresh-token", status=401)


async def test_Z_17_signing_out_ends_the_session_and_can_be_repeated(app: Web) -> None:
    """For a copy of the cookie as well; and a bad cookie has no effect."""
    token = (await app.call("POST", "/auth/refresh-token"))["token"]
    copy = app.client.cookies["refreshToken"]

    for _ in range(2):
        answer = await app.client.post("/auth/sign-out")
        assert answer.json() == {"success": True, "status": 200}
        assert cookie(answer, "refreshToken")["max-age"] == "0"

    await app.call("GET", "/v1/session", bearer=token, status=401)
    for bad in (copy, "nonsense", "x" * 4000):
        app.client.cookies.set("refreshToken", bad)
        await app.call("POST", "/auth/refresh-token", status=401)
        await app.call("POST", "/auth/sign-out")


async def test_LG_03_guesses_of_strangers_do_not_hold_up_a_browser_that_is_known(app: Web, merchant: Web) -> None:
    """Not after a sign-out either; one that is not known has to wait like everybody."""
    email = (await app.call("POST", "/auth/refresh-token"))["data"]["user"]["email"]
    await app.call("POST", "/auth/sign-out")
    async with merchant.another() as stranger:
        for _ in range(6):
            await login(stranger, email, "Wrong-2026", status=401)
        await login(stranger, email, status=401)

    assert (await login(app, email))["token"]


async def test_SE_02_racing_requests_get_the_same_cookie(app: Web) -> None:
    """Two tabs, or a lost answer: inside the grace nobody is signed out."""
    cookies = {"cookie": f"refreshToken={app.client.cookies['refreshToken']}"}
    app.client.cookies.clear()

    first, second = [await app.client.post("/auth/refresh-token", headers=cookies) for _ in range(2)]

    assert cookie(first, "refreshToken").value == cookie(second, "refreshToken").value
    app.service.clock.advance(seconds=11)
    await app.call("POST", "/auth/refresh-token", headers=cookies, status=401)


@pytest_asyncio.fixture
async def front(merchant: Web) -> AsyncIterator[Web]:
    """A browser without cookies."""
    async with merchant.another() as web:
        yield web


@pytest_asyncio.fixture
async def app(front: Web) -> Web:
    """The app of a plain user who is signed in."""
    await login(front, await registered(front), origin="application", path="/auth/login")
    return front


async def manager(front: Web) -> str:
    return await registered(front, role="Manager", companyName="Radium SA")


def of(answer: Any) -> dict[str, str]:
    """The header that tells which of a browser's users is meant."""
    return {"x-user-id": answer["data"]["user"]["id"]}


def who(answer: httpx.Response) -> str:
    return str(answer.json()["data"]["user"]["id"])


def cookie(answer: httpx.Response, name: str) -> Morsel[str]:
    """A cookie as an answer sets it."""
    for header in answer.headers.get_list("set-cookie"):
        if name in (parsed := SimpleCookie(header)):
            return parsed[name]
    raise AssertionError(f"{name} is not set")
