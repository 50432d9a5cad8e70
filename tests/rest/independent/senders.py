"""How a browser and an app send what a front end asks of them: cookies, origins, preflights.

The front ends beside this file are written from their product's document alone, and know nothing of the service.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from tests.running import Running

Fetch = Callable[..., Awaitable[httpx.Response]]


class Blocked(Exception):
    """A browser keeps a page from calling another origin, or from reading its answer."""


class App:
    """An app: it says what it is, and nothing that only browsers say."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def fetch(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"user-agent": "okhttp/4.12.0", "accept": "*/*", **options.pop("headers", {})}
        answer = await self._http.request(method, path, headers=headers, **options)
        _keep_cookies(self._http, answer)
        return answer


class Browser:
    """A browser that shows a page of some origin: by default, of the service's own.

    A page of another origin sends no cookies (`credentials: "same-origin"`, the default of fetch), and asks first.
    """

    def __init__(self, http: httpx.AsyncClient, page: str = "") -> None:
        self._http = http
        self._home = str(http.base_url).rstrip("/")
        self._page = page or self._home

    @property
    def home(self) -> str:
        """The origin of the service."""
        return self._home

    @property
    def cookies(self) -> dict[str, str]:
        return {cookie.name: cookie.value or "" for cookie in self._http.cookies.jar}

    async def fetch(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64)", "accept": "*/*", **options.pop("headers", {})}
        headers |= {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
        if self._page == self._home:
            headers |= {"sec-fetch-site": "same-origin", "referer": f"{self._home}/"}
            if method != "GET":
                headers["origin"] = self._page
            answer = await self._http.request(method, path, headers=headers, **options)
            _keep_cookies(self._http, answer)
            return answer
        await self._ask_first(method, path, headers, "json" in options)
        headers |= {"sec-fetch-site": "cross-site", "origin": self._page}
        answer = await self._http.request(method, path, headers=headers, **options)
        self._http.cookies.clear()
        if answer.headers.get("access-control-allow-origin") not in (self._page, "*"):
            raise Blocked(f"{self._page} may not read {method} {path}")
        return answer

    async def submit_from(self, site: str, path: str, **form: str) -> httpx.Response:
        """Sends a form of another site's page, with the cookies that a browser without SameSite would add."""
        headers = {"origin": site, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        return await self._http.post(path, data=form, headers={**headers, "sec-fetch-dest": "document"})

    async def _ask_first(self, method: str, path: str, headers: dict[str, str], sends_json: bool) -> None:
        """The preflight, for what a form could not send."""
        asked = sorted({name.lower() for name in headers} & {"authorization", "x-user-id"})
        asked += ["content-type"] if sends_json else []
        if not asked and method in {"GET", "POST"}:
            return
        answer = await self._http.options(
            path,
            headers={
                "origin": self._page,
                "access-control-request-method": method,
                **({"access-control-request-headers": ",".join(asked)} if asked else {}),
                "sec-fetch-mode": "cors",
                "sec-fetch-site": "cross-site",
                "sec-fetch-dest": "empty",
            },
        )
        methods = _listed(answer, "access-control-allow-methods") | {"get", "post"}
        allowed = _listed(answer, "access-control-allow-headers")
        named = answer.headers.get("access-control-allow-origin") in (self._page, "*")
        # A wildcard never stands for Authorization (Fetch standard, CORS-preflight fetch).
        if not (answer.is_success and named and method.lower() in methods and {*asked} <= allowed):
            raise Blocked(f"{self._page} may not {method} {path}: {answer.status_code} {answer.headers}")


@asynccontextmanager
async def an_app(service: Running) -> AsyncIterator[Fetch]:
    """What an app on somebody's phone sends with."""
    async with _connected(service) as http:
        yield App(http).fetch


@asynccontextmanager
async def a_browser(service: Running, page: str = "") -> AsyncIterator[Browser]:
    """A browser that has just been opened."""
    async with _connected(service) as http:
        yield Browser(http, page)


def json_of(answer: httpx.Response, status: int = 200) -> Any:
    """The body of an answer that must have this status and be JSON."""
    said = f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    assert answer.status_code == status, said
    assert answer.headers["content-type"].split(";")[0] == "application/json", said
    return answer.json()


def types_of(value: Any) -> Any:
    """A body with the type of each value in its place; a list stands for its first element."""
    if isinstance(value, dict):
        return {key: types_of(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [types_of(inner) for inner in value[:1]]
    return None if value is None else type(value)


def claims_of(token: str) -> dict[str, Any]:
    """What an access token says, as a front end reads it: without a key."""
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def _connected(service: Running) -> httpx.AsyncClient:
    base = f"http://{service.service.http_address}"
    return httpx.AsyncClient(base_url=base, trust_env=False, verify=False, timeout=20)


def _listed(answer: httpx.Response, header: str) -> set[str]:
    return {name.strip().lower() for name in answer.headers.get(header, "").split(",")}


def _keep_cookies(http: httpx.AsyncClient, answer: httpx.Response) -> None:
    """Refuses what a browser does not store, and sends Secure cookies on loopback, as browsers do."""
    for line in answer.headers.get_list("set-cookie"):
        name, attributes = line.split("=", 1)[0], [part.strip().lower() for part in line.split(";")[1:]]
        if name.startswith("__Host-"):
            assert {"secure", "path=/"} <= {*attributes}, line
            assert not any(attribute.startswith("domain") for attribute in attributes), line
        assert "httponly" in attributes, line
    for cookie in http.cookies.jar:
        cookie.secure = False
