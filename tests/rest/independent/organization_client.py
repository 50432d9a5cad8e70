"""The organization product's web app, as somebody would write it who has only the product's document.

`NextAuth` does what the browser half of next-auth does, which the document names: versions 4 and 5 differ in how they
ask for JSON, `json=true` in the form and `X-Auth-Return-Redirect` beside it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from tests.rest.independent.senders import Browser


class OrganizationClient:
    """One browser, with the session that its cookies hold."""

    def __init__(self, browser: Browser) -> None:
        self._fetch = browser.fetch

    async def register(self, **fields: str) -> httpx.Response:
        return await self._post("/register", fields)

    async def verify_email(self, token: str) -> httpx.Response:
        return await self._post("/verify-email", {"token": token})

    async def forgot_password(self, email: str) -> httpx.Response:
        return await self._post("/forgot-password", {"email": email})

    async def reset_password(self, token: str, password: str) -> httpx.Response:
        return await self._post("/reset-password", {"token": token, "password": password})

    async def resend_verification(self, email: str) -> httpx.Response:
        return await self._post("/resend-verification", {"email": email})

    async def login(self, email: str, password: str) -> httpx.Response:
        return await self._post("/callback/credentials", {"email": email, "password": password})

    async def signout(self) -> httpx.Response:
        return await self._fetch("POST", "/api/auth/signout")

    async def session(self) -> httpx.Response:
        return await self._fetch("GET", "/api/auth/session")

    async def _post(self, path: str, body: Any) -> httpx.Response:
        return await self._fetch("POST", f"/api/auth{path}", json=body)


class NextAuth:
    """The browser half of next-auth, of major version 4 or 5."""

    def __init__(self, browser: Browser, version: int) -> None:
        self._browser = browser
        self._version = version

    async def sign_in(self, email: str, password: str) -> dict[str, Any]:
        """What `signIn("credentials", {redirect: false, …})` resolves to."""
        providers = (await self._get("/providers")).json()
        assert providers["credentials"]["type"] == "credentials"
        answer = await self._post_form(
            "/callback/credentials", {"email": email, "password": password, "redirect": "false"}
        )
        url = answer.json()["url"]
        assert urlsplit(url).scheme, "`new URL(url)` throws without a scheme"
        error = parse_qs(urlsplit(url).query).get("error", [None])[0]
        return {"ok": answer.is_success, "error": error, "url": None if error else url}

    async def sign_out(self) -> dict[str, Any]:
        """What `signOut({redirect: false})` resolves to."""
        return dict((await self._post_form("/signout", {})).json())

    async def get_session(self) -> dict[str, Any] | None:
        """What `getSession()` resolves to: nothing, where the answer has no keys."""
        answer = await self._get("/session")
        assert answer.is_success
        return answer.json() or None

    async def csrf_token(self) -> str:
        return str((await self._get("/csrf")).json()["csrfToken"])

    async def _get(self, path: str) -> httpx.Response:
        return await self._browser.fetch("GET", f"/api/auth{path}", headers={"content-type": "application/json"})

    async def _post_form(self, path: str, fields: dict[str, str]) -> httpx.Response:
        form = {**fields, "csrfToken": await self.csrf_token(), "callbackUrl": f"{self._browser.home}/dashboard"}
        headers = {}
        if self._version == 4:
            form["json"] = "true"
        else:
            headers["x-auth-return-redirect"] = "1"
        # signIn puts its authorization parameters behind the path: a question mark with nothing after it.
        query = "?" if path.startswith("/callback") else ""
        return await self._browser.fetch("POST", f"/api/auth{path}{query}", data=form, headers=headers)
