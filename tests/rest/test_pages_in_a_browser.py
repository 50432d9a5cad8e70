"""The pages in a real browser: what leaves it and when, with and without scripts, and for everybody."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, Request, Route
from tests.company import company, invited
from tests.mailbox import Mailbox, text_of
from tests.rest.chromium import chromium
from tests.running import OTHER_PASSWORD, PASSWORD, Running, running

PUBLIC = "http://pages.example/id"
"""Where a proxy serves the pages: below a path that it takes away."""

AXE = "async (rules) => (await axe.run(rules)).violations"
EVERYTHING = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}

TOO_SMALL_TO_TOUCH = """
    [...document.querySelectorAll("button, input, a, summary")]
        .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 44)
        .map((each) => each.outerHTML)
"""


class Visitor:
    """Somebody's browser. `requests` is everything that left it; they are answered while `answers` is set."""

    def __init__(self, page: Page, service: Running) -> None:
        self.page = page
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self._here = f"http://{service.service.http_address}"
        page.on("request", lambda request: self.requests.append(request))
        page.on("console", lambda said: self.complaints.append(said.text) if "Policy" in said.text else None)

    async def proxy(self, route: Route) -> None:
        await self.answers.wait()
        response = await route.fetch(url=route.request.url.replace(PUBLIC, self._here))
        await route.fulfill(response=response)

    async def press(self, name: str) -> None:
        """Press a button, and wait for what comes of it."""
        async with self.page.expect_navigation():
            await self.page.get_by_role("button", name=name).click()

    async def heading(self) -> str:
        return await self.page.locator("h1").inner_text()

    def sent(self, secret: str) -> list[str]:
        """The methods of the requests in which a secret stood."""
        return [
            request.method
            for request in self.requests
            if secret in request.url or secret in (request.post_data or "") or secret in str(request.headers)
        ]


@pytest_asyncio.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(scope="module")
async def service(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> AsyncIterator[Running]:
    """On SQLite only: what the database does is tested without a browser."""
    async with running(
        tmp_path_factory.mktemp("pages"), mailbox, rest_address="127.0.0.1:0", public_url=PUBLIC
    ) as service:
        yield service


@asynccontextmanager
async def visiting(browser: Browser, service: Running, **options: Any) -> AsyncIterator[Visitor]:
    context = await browser.new_context(
        **{"locale": "en", "base_url": f"http://{service.service.http_address}", **options}
    )
    yield Visitor(await context.new_page(), service)
    await context.close()


async def link_in(service: Running, email: str, subject: str) -> str:
    """The link of a mail, as it stands there."""
    mail = await service.mailbox.titled(email, subject)
    return str(re.findall(r"http\S+", text_of(mail))[0])


async def test_RC_06_only_the_button_sends_the_secret_of_a_link(browser: Browser, service: Running) -> None:
    """It leaves the address bar at once, stays when the language is changed, and a double click sends it once."""
    email = await service.registered()
    link = await link_in(service, email, "Confirm")
    secret = link.partition("#token=")[2]
    async with visiting(browser, service) as visitor:
        page = visitor.page
        await page.route(f"{PUBLIC}/**", visitor.proxy)
        await page.goto(link)
        assert page.url == f"{PUBLIC}/verify-email"
        assert not await page.get_by_label("Code from the mail").is_visible()
        await page.get_by_role("link", name="Français").click()
        assert await visitor.heading() == "Confirmez votre adresse e‑mail"
        await page.wait_for_url(f"{PUBLIC}/verify-email?lang=fr")
        assert visitor.sent(secret) == []

        visitor.answers.clear()
        place = await page.get_by_role("button", name="Confirmer mon adresse e-mail").bounding_box()
        assert place is not None
        async with page.expect_request(lambda request: request.method == "POST"):
            await page.mouse.click(place["x"] + 10, place["y"] + 10)
        await page.mouse.click(place["x"] + 10, place["y"] + 10)
        async with page.expect_navigation():
            visitor.answers.set()

        assert await visitor.heading() == "Votre adresse e‑mail est confirmée"
        assert visitor.sent(secret) == ["POST"]
        assert {urlsplit(request.url).netloc for request in visitor.requests if request.url != "data:,"} == {
            "pages.example"
        }
        assert visitor.complaints == []
    await service.login(email)


async def test_everything_works_without_scripts(browser: Browser, service: Running) -> None:
    email = await service.verified()
    code = await service.reset_token(email)
    async with visiting(browser, service, java_script_enabled=False) as visitor:
        await visitor.page.goto(f"/reset-password#token={code}")
        await visitor.page.get_by_label("Code from the mail").fill(code)
        await visitor.page.get_by_label("New password").fill("short")
        await visitor.press("Set the new password")
        field = visitor.page.get_by_label("New password")
        assert await field.get_attribute("aria-invalid") == "true"
        await field.fill(OTHER_PASSWORD)
        await visitor.press("Set the new password")

        assert await visitor.heading() == "Your new password is set"
    await service.login(email, OTHER_PASSWORD)


async def test_SE_07_no_other_site_can_send_or_frame_a_form(browser: Browser, service: Running) -> None:
    """As browsers tell it: the page that sends is of another site, or of this one under another name."""
    here = f"http://{service.service.http_address}"
    code = await service.reset_token(await service.verified())
    async with visiting(browser, service) as visitor:
        page = visitor.page
        form = (
            f"<form method=post action={here}/reset-password><input name=token value={code}>"
            f"<input name=new_password value='{OTHER_PASSWORD}'><button>Win a prize</button></form>"
            f"<iframe src={here}/reset-password></iframe>"
        )
        await page.route("http://evil.example/", lambda route: route.fulfill(body=form, content_type="text/html"))
        await page.goto("http://evil.example/")
        framed = page.frames[1]
        await framed.wait_for_url(re.compile("^(http|chrome-error):"))
        assert framed.url == "chrome-error://chromewebdata/"
        await visitor.press("Win a prize")

        assert await page.get_by_role("alert").inner_text() == (
            "This form has to be filled in and sent here, on this page. Nothing has happened yet."
        )
        await page.get_by_label("Code from the mail").fill(code)
        await page.get_by_label("New password").fill(OTHER_PASSWORD)
        await visitor.press("Set the new password")
        assert await visitor.heading() == "Your new password is set"


async def test_everybody_can_read_and_reach_everything_on_a_small_phone(browser: Browser, service: Running) -> None:
    """As far as axe can tell, by day and by night; and what is touched is large enough for a thumb."""
    owner = await company(service)
    email, token = await invited(service, owner)
    async with visiting(browser, service, viewport={"width": 320, "height": 568}, has_touch=True) as visitor:
        page = visitor.page

        async def check() -> None:
            await page.evaluate(AXE_SCRIPT)
            by_day = await page.evaluate(AXE, EVERYTHING)
            await page.emulate_media(color_scheme="dark")
            by_night = await page.evaluate(AXE, CONTRAST)
            await page.emulate_media(color_scheme="light")
            assert [*by_day, *by_night] == [], page.url
            assert await page.evaluate(TOO_SMALL_TO_TOUCH) == []
            assert await page.evaluate("document.documentElement.scrollWidth") == 320

        for path in ("/", "/setup"):
            await page.goto(path)
            await check()
        await page.goto("/reset-password#token=unknown")
        await page.get_by_label("New password").fill(PASSWORD)
        await visitor.press("Set the new password")
        await check()

        await page.goto(f"/accept-invite#token={token}")
        await visitor.press("Look at the invitation")
        await page.get_by_label("Your name").fill("Jane Smith")
        await page.get_by_label("Password", exact=True).fill("short")
        await page.get_by_role("button", name="Show the password").tap()
        assert await page.get_by_label("Password", exact=True).get_attribute("type") == "text"
        await visitor.press("Accept")
        await check()
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await visitor.press("Accept")
        await check()
        assert await visitor.heading() == f"Welcome to {owner.session.tenant.name}"
    assert (await service.login(email)).account.name == "Jane Smith"
