"""What holds for every page: who may send its form, what a browser may do with it, and in which language it speaks."""

from __future__ import annotations

import re
import string
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from tests.rest.sheet import OURS, Sheet, visit
from tests.rest.web import Web, nobody_behind
from tests.running import OTHER_PASSWORD

from identity.rest.door import Door
from identity.rest.pages.page import Page, View, Visit, endpoints_of
from identity.rest.pages.site import PAGES
from identity.rest.pages.words import FALLBACK, TEXTS
from identity.rest.routing import Router
from identity.rest.upstream import open_upstream
from identity.settings import load_rest_settings

PATHS = [page.path for page in PAGES]
ROOT = Path(__file__).resolve().parents[2]
SOURCE = "".join(file.read_text(encoding="utf-8") for file in ROOT.glob("src/identity/rest/pages/*.py"))


@pytest_asyncio.fixture(scope="module")
async def alone() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a container whose service is away."""
    async with nobody_behind(product_name="<Acme> & Co") as client:
        yield client


FOREIGN: tuple[dict[str, str], ...] = (
    {},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8080"},
    {"origin": "http://evil.example", "host": "evil.example"},
)


async def test_SE_07_a_form_that_another_site_sends_does_nothing_and_is_not_repeated(web: Web) -> None:
    token = await web.service.reset_token(await web.service.verified())
    form = {"token": token, "new_password": OTHER_PASSWORD, "email": "evil@example.org"}

    for headers in FOREIGN:
        refused = Sheet(web.client, await web.client.post("/reset-password", data=form, headers=headers))
        assert (refused.status, refused.alerts) == (403, [TEXTS["en"]["reason.PERMISSION_DENIED"]]), headers
        assert token not in refused.answer.text
        assert "evil@" not in refused.answer.text

    own = await web.client.post("/reset-password", data=form, headers={"origin": str(web.client.base_url)})
    assert own.status_code == 200


async def test_pages_hold_nothing_inline_and_refer_to_nobody_else(alone: httpx.AsyncClient) -> None:
    for path in ("/", *PATHS):
        answer = await alone.get(path)
        policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))

        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=)|action=", answer.text)
        assert re.findall(r'(?:href|src)="(?![?a-z])[^"]*"', answer.text) == []
        assert "&lt;Acme&gt; &amp; Co" in answer.text


async def test_what_pages_refer_to_may_be_kept_for_it_is_named_by_its_content(alone: httpx.AsyncClient) -> None:
    text = (await alone.get("/verify-email")).text

    for name, kind in (("style.css", "text/css"), ("script.js", "text/javascript")):
        [address] = re.findall(rf'"(pages/{name}\?v=[0-9a-f]{{12}})"', text)
        answer = await alone.get(f"/{address}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, f"{kind}; charset=utf-8")
        assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "de-CH, fr;q=0.5, nl;q=0.7", "nl"),
        ("", "fr-CA", "fr"),
        ("", "nl;q=0, fr;q=0.1", "fr"),
        ("", "de, *;q=0.5", "en"),
        ("", "fr;q=x, ;;;,=, NL", "nl"),
        ("?lang=fr", "nl", "fr"),
        ("?lang=../en", "nl", "nl"),
        ("?lang=fr&lang=en", "nl", "nl"),
        ("?gclid&lang", "fr", "fr"),
    ],
)
async def test_RC_04_the_language_is_one_of_three(
    alone: httpx.AsyncClient, query: str, accepted: str, language: str
) -> None:
    sheet = await visit(alone, f"/unlock-account{query}", headers={"accept-language": accepted})

    assert (sheet.status, sheet.language, sheet.answer.headers["content-language"]) == (200, language, language)
    assert sheet.heading == TEXTS[language]["unlock_account.title"]


async def test_the_first_page_tells_what_this_is_and_asks_nothing(alone: httpx.AsyncClient) -> None:
    sheet = await visit(alone, "/")

    assert (sheet.status, sheet.forms, sheet.title) == (200, [], "<Acme> & Co")
    assert {"docs", "healthz"} <= set(sheet.links)


async def test_a_service_that_is_away_is_told_and_the_form_stays(alone: httpx.AsyncClient) -> None:
    form = await visit(alone, "/verify-email?lang=nl")
    answer = await form.send(token="a-token")
    closed = await visit(alone, "/setup")

    assert (answer.status, answer.answer.headers["retry-after"]) == (503, "1")
    assert answer.alerts == [TEXTS["nl"]["reason.SERVICE_UNAVAILABLE"]]
    assert answer.form.fields == {"token": "a-token"}
    assert (closed.status, closed.forms) == (503, [])


async def test_TR_05_what_nobody_foresaw_is_a_page_with_a_reference() -> None:
    async def breaks(visit: Visit) -> View:
        raise ZeroDivisionError("a secret of ours")

    settings = load_rest_settings()
    upstream = open_upstream(settings)
    app = Door(settings, upstream, Router(endpoints_of(Page("/it", "verify_email.html", breaks), settings)))
    async with httpx.AsyncClient(base_url="http://127.0.0.1", transport=httpx.ASGITransport(app)) as client:
        answer = await (await visit(client, "/it")).send(token="a-token")
    await upstream.close()

    assert (answer.status, answer.heading) == (500, "That did not work")
    assert re.search(r"[0-9a-f]{16}$", answer.alerts[0])
    assert "a secret of ours" not in answer.answer.text


async def test_what_is_no_form_is_refused_as_a_page(alone: httpx.AsyncClient) -> None:
    put = await alone.put("/setup")
    twice = await alone.post("/verify-email", content=b"token=a&token=b", headers=OURS)
    broken = await alone.post("/verify-email", content=b"token=%ff", headers=OURS)
    large = await alone.post("/verify-email", content=b"token=" + b"a" * 70_000, headers=OURS)

    assert [answer.status_code for answer in (put, twice, broken, large)] == [405, 400, 400, 413]
    assert {answer.headers["content-type"] for answer in (put, twice, broken, large)} == {"text/html; charset=utf-8"}


def test_every_language_says_everything_that_english_says() -> None:
    formatter = string.Formatter()

    def holes(texts: dict[str, str]) -> dict[str, set[str]]:
        return {name: {hole for _, hole, _, _ in formatter.parse(text) if hole} for name, text in texts.items()}

    english = holes(dict(TEXTS[FALLBACK]))

    assert set(TEXTS) == {"en", "fr", "nl"}
    for texts in TEXTS.values():
        assert holes(dict(texts)) == english
        assert all(text.strip() == text != "" for text in texts.values())


def test_french_has_its_narrow_habits() -> None:
    assert [text for text in TEXTS["fr"].values() if re.search(r"[^\u00a0:][:;?!](\s|$)| [:;?!»]|« ", text)] == []


def test_every_reason_that_a_page_can_meet_has_words() -> None:
    """The comments of the contract say which those are, of the calls that the pages make."""
    image = FileDescriptorSet.FromString((ROOT / "generated/descriptors.binpb").read_bytes())
    possible = {"INVALID_REQUEST", "PERMISSION_DENIED", "OVERLOADED", "SERVICE_UNAVAILABLE", "INTERNAL"}
    for file in image.file:
        services = enumerate(file.service)
        called = {
            (6, s, 2, m)
            for s, service in services
            for m, method in enumerate(service.method)
            if f".{method.name}, " in SOURCE and method.name != "SignOut"  # its refusals are told to nobody
        }
        for place in file.source_code_info.location:
            if tuple(place.path) in called:
                possible |= set(re.findall(r"- ([A-Z_]+) \(", place.leading_comments))

    assert {"LINK_USED", "SETUP_DONE", "INVITE_VOID", "OTP_INVALID"} <= possible
    assert sorted(name for name in possible if f"reason.{name}" not in TEXTS[FALLBACK]) == []
