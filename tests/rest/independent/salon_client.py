"""The salon's web app and its phone app, as somebody would write them who has only the product's document."""

from __future__ import annotations

from typing import Any

import httpx
from tests.rest.independent.senders import Fetch


class SalonClient:
    """One person at one device, with the tokens that this device keeps.

    The document gives `/api/auth` as the base and then writes `/auth/login`: one may read either as the path.
    """

    def __init__(self, fetch: Fetch, base: str = "/api/auth") -> None:
        self._fetch = fetch
        self._base = base
        self.token = ""
        self.refresh_token = ""

    async def setup_status(self) -> httpx.Response:
        return await self._call("GET", "/setup-status")

    async def setup(self, **answers: Any) -> httpx.Response:
        return self._signed_in(await self._call("POST", "/setup", answers))

    async def login(self, email: str, password: str, **mobile: bool) -> httpx.Response:
        return self._signed_in(await self._call("POST", "/login", {"email": email, "password": password, **mobile}))

    async def logout(self, **tokens: str) -> httpx.Response:
        return await self._call("POST", "/logout", tokens)

    async def refresh(self, refresh_token: str = "") -> httpx.Response:
        body = {"refresh_token": refresh_token or self.refresh_token}
        return self._signed_in(await self._call("POST", "/refresh", body))

    async def register(self, email: str, name: str, **role: str) -> httpx.Response:
        return await self._call("POST", "/register", {"email": email, "name": name, **role})

    async def forgot_password(self, email: str) -> httpx.Response:
        return await self._call("POST", "/forgot-password", {"email": email})

    async def reset_password(self, email: str, token: str, password: str) -> httpx.Response:
        return await self._call("POST", "/reset-password", {"email": email, "token": token, "password": password})

    async def change_password(self, email: str, current: str, new: str, confirm: str = "") -> httpx.Response:
        body = {"email": email, "currentPassword": current, "newPassword": new, "confirmPassword": confirm or new}
        return await self._call("POST", "/change-password", body)

    async def users(self) -> httpx.Response:
        return await self._call("GET", "/users")

    async def register_device(self, token: str, platform: str) -> httpx.Response:
        return await self._call("POST", "/device", {"token": token, "platform": platform})

    async def remove_device(self, token: str) -> httpx.Response:
        return await self._call("DELETE", "/device", {"token": token})

    async def _call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        options: dict[str, Any] = {} if body is None else {"json": body}
        if self.token:
            options["headers"] = {"authorization": f"Bearer {self.token}"}
        return await self._fetch(method, f"{self._base}{path}", **options)

    def _signed_in(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            self.token = answer.json()["token"]
            self.refresh_token = answer.json().get("refresh_token", "")
        return answer
