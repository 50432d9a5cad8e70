"""The organization product's web application, as tests drive it."""

from __future__ import annotations

from typing import Any

import httpx
from tests.rest.web import Web
from tests.running import new_email

PASSWORD = "securepassword123"
OTHER = "newSecurePassword123"
JOHN = {"organizationName": "My Company", "firstName": "John", "lastName": "Doe"}


def page(front: Web) -> dict[str, str]:
    """The headers of a call that one of the application's own pages makes."""
    return {"origin": str(front.client.base_url).rstrip("/")}


async def registered(front: Web, password: str = PASSWORD) -> str:
    """The address of a new administrator, who has proven it."""
    email = new_email()
    await front.call("POST", "/api/auth/register", {**JOHN, "email": email, "password": password}, status=201)
    await front.call("POST", "/api/auth/verify-email", {"token": await front.service.mailbox.token(email)})
    return email


async def sign_in(front: Web, email: str, password: str = PASSWORD, *, status: int = 200, **fields: Any) -> Any:
    """The answer to a password that a page of the application sends as JSON."""
    body = {"email": email, "password": password, **fields}
    return await front.call("POST", "/api/auth/callback/credentials", body, headers=page(front), status=status)


async def session(front: Web) -> Any:
    """Whose session it is; an empty object without one."""
    return await front.call("GET", "/api/auth/session")


class NextAuthClient:
    """What `next-auth/react` does in a browser. Version 4 asks for JSON with a field, later ones with a header."""

    def __init__(self, front: Web, version: int, at: str = "/") -> None:
        self._front = front
        self._at = f"{page(front)['origin']}{at}"
        self._headers = {**page(front), "referer": self._at} | ({"x-auth-return-redirect": "1"} if version > 4 else {})
        self._fields = {} if version > 4 else {"json": "true"}

    async def sign_in(self, email: str, password: str, callback_url: str = "") -> dict[str, Any]:
        """What `signIn("credentials", …)` gives its caller."""
        providers = (await self._front.client.get("/api/auth/providers")).json()
        assert providers["credentials"]["type"] == "credentials"
        fields = {"email": email, "password": password, "redirect": "false"}
        answer = await self._post("/api/auth/callback/credentials", callback_url, fields)
        url = httpx.URL(answer.json()["url"])
        error = url.params.get("error")
        return {"error": error, "status": answer.status_code, "ok": answer.is_success, "url": str(url)}

    async def sign_out(self, callback_url: str = "") -> str:
        """The page that `signOut()` goes to."""
        return str((await self._post("/api/auth/signout", callback_url, {})).json()["url"])

    async def _post(self, path: str, callback_url: str, fields: dict[str, str]) -> httpx.Response:
        token = (await self._front.client.get("/api/auth/csrf")).json()["csrfToken"]
        form = {**fields, "csrfToken": token, "callbackUrl": callback_url or self._at, **self._fields}
        return await self._front.client.post(path, data=form, headers=self._headers)
