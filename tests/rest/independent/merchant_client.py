"""The merchant's dashboard and app, as somebody would write them who has only the product's document."""

from __future__ import annotations

from typing import Any

import httpx
from tests.rest.independent.senders import Fetch


class MerchantClient:
    """One person at one device: `dashboard` for the backoffice, `application` for the app."""

    def __init__(self, fetch: Fetch, origin: str = "dashboard") -> None:
        self.fetch = fetch
        self.origin = origin
        self.token: str | None = None
        self.user_id = ""

    async def register(self, lang: str = "", **fields: str) -> httpx.Response:
        return await self._post("/register", fields, params={"lang": lang} if lang else {})

    async def login(self, email: str, password: str) -> httpx.Response:
        """For managers, super managers, cashiers, observers and associations."""
        body = {"email": email, "password": password, "origin": self.origin}
        return self._signed_in(await self._post("/login/manager", body))

    async def login_user(self, email: str, password: str) -> httpx.Response:
        """The other sign-in, which the document names where it explains tokens."""
        body = {"email": email, "password": password, "origin": self.origin}
        return self._signed_in(await self._post("/login", body))

    async def otp(self, **code: str) -> httpx.Response:
        """Sends the token of the sign-in as the document wants it: while a code is due that is `null`."""
        headers = {"authorization": f"Bearer {self.token or 'null'}"}
        return self._signed_in(await self._post("/otp", code, headers=headers))

    async def send_otp(self, email: str) -> httpx.Response:
        return await self._post("/otp/email", {"email": email})

    async def send_reset(self, email: str, lang: str = "", **origin: str) -> httpx.Response:
        params = {"lang": lang} if lang else {}
        return await self._post("/reset-password/send", {"email": email, **origin}, params=params)

    async def change_forgotten(self, token: str, new_password: str) -> httpx.Response:
        return await self._post("/reset-password/change", {"token": token, "newPassword": new_password})

    async def refresh(self) -> httpx.Response:
        return self._signed_in(await self._post("/refresh-token", headers=self._whose()))

    async def sign_out(self) -> httpx.Response:
        return await self._post("/sign-out", headers=self._whose())

    async def _post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        if body is not None:
            options["json"] = body
        return await self.fetch("POST", f"/auth{path}", **options)

    def _whose(self) -> dict[str, str]:
        """Only the backoffice says whose cookie to read."""
        return {"x-user-id": self.user_id} if self.origin == "dashboard" else {}

    def _signed_in(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            body = answer.json()
            self.token = body["token"]
            self.user_id = (body["data"]["user"] or {}).get("id", self.user_id)
        return answer
