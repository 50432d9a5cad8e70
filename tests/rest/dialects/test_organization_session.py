"""The organization product's session: clients of NextAuth, the cookie, and whose pages may use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http.cookies import Morsel, SimpleCookie

import httpx
import pyotp
import pytest
import pytest_asyncio
from tests.rest.dialects.conftest import LISTED, behind_tls
from tests.rest.dialects.organizations import OTHER, PASSWORD, NextAuthClient, page, registered, session, sign_in
from tests.rest.web import Web
from tests.running import bearer

from identity_pb.v1 import factor_service_pb2 as factors

CREDENTIALS = "/api/auth/callback/credentials"
ELSEWHERE = (
    "https://evil.example.com/",
    "//evil.example.com",
    "https:evil.example.com@x/",
    "https://dashboard.example.org@evil.example.com/",
    "javascript:alert(1)",
    "http://[",
)


@pytest.mark.parametrize("version", [4, 5])
async def test_a_client_of_NextAuth_signs_in_and_out(front: Web, version: int) -> None:
    """It reads providers and csrf, posts forms, and goes to the `url` of the answer, which is its own page."""
    email, site = await registered(front), page(front)["origin"]
    client = NextAuthClient(front, version, at="/login?from=mail")

    wrong = await client.sign_in(email, OTHER, f"{site}/dashboard")
    assert wrong == {
        "error": "CredentialsSignin",
        "status": 401,
        "ok": False,
        "url": f"{site}/login?from=mail&error=CredentialsSignin",
    }
    assert await session(front) == {}
    right = await client.sign_in(email, PASSWORD, f"{site}/dashboard")
    assert right == {"error": None, "status": 200, "ok": True, "url": f"{site}/dashboard"}
    assert (await session(front))["user"]["email"] == email
    assert await client.sign_out("/bye") == f"{site}/bye"
    assert await session(front) == {}


async def test_a_form_and_json_are_the_same(front: Web) -> None:
    email = await registered(front)

    answer = await front.client.post(CREDENTIALS, data={"email": email, "password": PASSWORD}, headers=page(front))

    assert answer.json() == {"success": True, "url": f"{page(front)['origin']}/"}
    assert (await session(front))["user"]["email"] == email


async def test_signing_in_leads_to_no_other_site(front: Web) -> None:
    """Whatever the page that calls wants."""
    email, home = await registered(front), f"{page(front)['origin']}/"

    for wanted in ELSEWHERE:
        right = await sign_in(front, email, callbackUrl=wanted)
        wrong = await sign_in(front, email, OTHER, callbackUrl=wanted, status=401)
        assert right["url"].startswith(home), wanted
        assert wrong["url"] == f"{right['url']}?error=CredentialsSignin"
    assert (await sign_in(front, email, callbackUrl="/dashboard?tab=1"))["url"] == f"{home}dashboard?tab=1"


async def test_SE_07_the_cookie_is_for_this_host_alone_and_for_no_script(front: Web) -> None:
    """Nothing of what it holds stands in an answer (Z-27)."""
    email = await registered(front)
    body = {"email": email, "password": PASSWORD}
    signed_in = await front.client.post(CREDENTIALS, json=body, headers=page(front))
    told = await front.client.get("/api/auth/session")

    held = cookie(signed_in, "session")
    assert (held["httponly"], held["samesite"], held["path"], held["domain"]) == (True, "lax", "/", "")
    for part in held.value.split("."):
        assert part not in signed_in.text and part not in told.text
    assert told.headers["cache-control"] == "no-store"
    async with behind_tls(front, "organization") as web:
        headers = {"origin": "https://id.example.org"}
        tls = await web.client.post(CREDENTIALS, json=body, headers=headers)
        providers = await web.call("GET", "/api/auth/providers")
    assert cookie(tls, "__Host-session")["secure"]
    assert providers["credentials"]["callbackUrl"] == "https://id.example.org/api/auth/callback/credentials"


async def test_SE_07_Z_27_only_own_and_listed_pages_sign_in_and_out(front: Web) -> None:
    """No origin is none of them; what is refused has no effect."""
    email = await registered(front)
    body = {"email": email, "password": PASSWORD}
    await sign_in(front, email)

    for headers in ({}, {"origin": "https://evil.example.com"}, {"origin": "null"}):
        for path in (CREDENTIALS, "/api/auth/signout"):
            assert (await front.call("POST", path, body, headers=headers, status=403))["code"] == "PERMISSION_DENIED"
    assert (await session(front))["user"]["email"] == email
    listed = await front.client.post("/api/auth/signout", headers={"origin": LISTED})
    assert listed.headers["access-control-allow-credentials"] == "true"
    assert await session(front) == {}


async def test_SE_07_a_bearer_is_no_session_and_a_session_no_bearer(front: Web) -> None:
    email = await registered(front)
    token = (await front.service.login(email, PASSWORD)).tokens.access_token

    assert await front.call("GET", "/api/auth/session", bearer=token) == {}
    await sign_in(front, email)
    await front.call("GET", "/v1/session", status=401)


async def test_Z_17_signing_out_ends_the_session_and_can_be_repeated(front: Web, organization: Web) -> None:
    """A copy of the cookie is worth nothing afterwards."""
    await sign_in(front, await registered(front))
    copy = front.client.cookies["session"]

    for _ in range(2):
        await front.call("POST", "/api/auth/signout", headers=page(front))

    for worthless in (copy, "nonsense", f".{copy.partition('.')[2]}", "x" * 4000):
        async with organization.another() as other:
            other.client.cookies.set("session", worthless)
            answer = await other.client.get("/api/auth/session")
        assert answer.json() == {}
        assert cookie(answer, "session")["max-age"] == "0"


async def test_Z_27_the_session_goes_on_by_itself_and_not_for_ever(front: Web) -> None:
    """Each look at it after 15 minutes gets new tokens; the end never moves, and nobody comes after it."""
    await sign_in(front, await registered(front))
    begun, held = await session(front), front.client.cookies["session"]
    assert (await front.client.get("/api/auth/session")).headers.get("set-cookie") is None

    front.service.clock.advance(minutes=16)
    assert await session(front) == begun
    assert front.client.cookies["session"].partition(".")[0] != held.partition(".")[0]

    seen = []
    for _ in range(5):
        front.service.clock.advance(days=6)
        seen.append(await session(front))
    assert seen == [*[begun] * 4, {}], "thirty days are over"


async def test_SE_02_tabs_that_ask_at_the_same_time_stay_signed_in(front: Web) -> None:
    """All of them come with the old cookie, and get the same one."""
    await sign_in(front, await registered(front))
    old = {"cookie": f"session={front.client.cookies['session']}"}
    front.client.cookies.clear()
    front.service.clock.advance(minutes=16)

    answers = await asyncio.gather(*(front.client.get("/api/auth/session", headers=old) for _ in range(4)))

    assert all(answer.json() == answers[0].json() != {} for answer in answers)
    assert len({cookie(answer, "session").value.partition(".")[0] for answer in answers}) == 1


async def test_SE_04_a_changed_password_elsewhere_ends_the_session(front: Web) -> None:
    email = await registered(front)
    await sign_in(front, email)

    await front.service.reset(await front.service.reset_token(email), OTHER)

    assert await session(front) == {}


async def test_AV_02_a_service_that_is_away_signs_nobody_out(front: Web, organization: Web) -> None:
    await sign_in(front, await registered(front))
    held = {"cookie": f"__Host-session={front.client.cookies['session']}"}

    async with behind_tls(front, "organization", upstream="unix:/nonexistent/identity") as web:
        away = await web.client.get("/api/auth/session", headers=held)

    assert (away.status_code, away.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert "set-cookie" not in away.headers


async def test_a_second_factor_is_sent_as_code(front: Web) -> None:
    """With the password or after it; the document has no such field, and who has no factor needs none."""
    email = await registered(front)
    app = await enrolled(front, email)

    asked = await sign_in(front, email, status=401)
    assert (asked["code"], httpx.URL(asked["url"]).params["error"]) == ("MFA_REQUIRED", "MFA_REQUIRED")
    assert await session(front) == {}
    assert (await sign_in(front, email, code="000000", status=401))["code"] == "OTP_INVALID"
    await sign_in(front, email, code=app.at(front.service.clock.now))
    assert (await session(front))["user"]["email"] == email

    front.client.cookies.clear()
    front.service.clock.advance(minutes=1)
    await sign_in(front, email, code=app.at(front.service.clock.now))


async def test_a_sign_in_that_waits_for_nothing_more_does_not_stop_another(front: Web) -> None:
    """Nor does one of somebody else, who used this browser before."""
    (hers, her_app), (his, his_app) = [
        (email, await enrolled(front, email)) for email in [await registered(front), await registered(front)]
    ]
    await sign_in(front, hers, status=401)
    used = front.client.cookies["challenge"]
    await sign_in(front, hers, code=her_app.at(front.service.clock.now))

    front.service.clock.advance(minutes=1)
    front.client.cookies.set("challenge", used)
    await sign_in(front, hers, code=her_app.at(front.service.clock.now))
    assert (await session(front))["user"]["email"] == hers

    await sign_in(front, hers, status=401)
    await sign_in(front, his, code=his_app.at(front.service.clock.now))
    assert (await session(front))["user"]["email"] == his


async def test_a_mailed_code_belongs_to_the_sign_in_that_asked_for_it(front: Web) -> None:
    email = await registered(front)
    metadata = bearer((await front.service.login(email, PASSWORD)).tokens.access_token)
    wish = factors.SetEmailOtpRequest(enabled=True, current_password=PASSWORD)
    await front.service.factors.SetEmailOtp(wish, metadata=metadata)

    await sign_in(front, email, status=401)
    await sign_in(front, email, code=await front.service.mailbox.alone(email, "[0-9]{6}"))

    assert (await session(front))["user"]["email"] == email


async def test_a_code_that_is_wrong_leaves_the_sign_in_waiting_for_the_mailed_one(front: Web) -> None:
    email = await registered(front)
    metadata = bearer((await front.service.login(email, PASSWORD)).tokens.access_token)
    wish = factors.SetEmailOtpRequest(enabled=True, current_password=PASSWORD)
    await front.service.factors.SetEmailOtp(wish, metadata=metadata)

    assert (await sign_in(front, email, code="000000", status=401))["code"] == "OTP_INVALID"
    await sign_in(front, email, code=await front.service.mailbox.alone(email, "[0-9]{6}"))


async def test_LG_03_guesses_of_strangers_do_not_hold_up_a_browser_that_is_known(front: Web, organization: Web) -> None:
    email = await registered(front)
    await sign_in(front, email)
    await front.call("POST", "/api/auth/signout", headers=page(front))
    async with organization.another() as stranger:
        for _ in range(6):
            await sign_in(stranger, email, OTHER, status=401)
        await sign_in(stranger, email, status=401)

    await sign_in(front, email)


@pytest_asyncio.fixture
async def front(organization: Web) -> AsyncIterator[Web]:
    """A browser without cookies."""
    async with organization.another() as web:
        yield web


async def enrolled(front: Web, email: str) -> pyotp.TOTP:
    """An authenticator app of somebody."""
    calls, metadata = front.service.factors, bearer((await front.service.login(email, PASSWORD)).tokens.access_token)
    begun = await calls.BeginTotpEnrollment(
        factors.BeginTotpEnrollmentRequest(current_password=PASSWORD), metadata=metadata
    )
    app = pyotp.TOTP(begun.secret)
    code = app.at(front.service.clock.now)
    confirm = factors.ConfirmTotpEnrollmentRequest(enrollment_token=begun.enrollment_token, code=code)
    await calls.ConfirmTotpEnrollment(confirm, metadata=metadata)
    front.service.clock.advance(minutes=1)
    return app


def cookie(answer: httpx.Response, name: str) -> Morsel[str]:
    """A cookie as an answer sets it."""
    for header in answer.headers.get_list("set-cookie"):
        if name in (parsed := SimpleCookie(header)):
            return parsed[name]
    raise AssertionError(f"{name} is not set")
