"""The tenant product's web app, as somebody would write it who has only the product's document."""

from __future__ import annotations

from typing import Any

import httpx
from tests.rest.independent.senders import Fetch


class TenantClient:
    """One person in one browser, with the tokens that the app keeps.

    As interceptors do, it adds the access token that it has to every call, however old, and `null` when it has none.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.access_token = ""
        self.refresh_token = ""

    async def register(self, **fields: Any) -> httpx.Response:
        return self._signed_in(await self._post("/auth/register", fields))

    async def login(self, tenant_slug: str, email: str, password: str) -> httpx.Response:
        body = {"tenantSlug": tenant_slug, "email": email, "password": password}
        return self._signed_in(await self._post("/auth/login", body))

    async def me(self) -> httpx.Response:
        return await self._get("/auth/me")

    async def refresh(self, refresh_token: str = "") -> httpx.Response:
        body = {"refreshToken": refresh_token or self.refresh_token}
        return self._signed_in(await self._post("/auth/refresh", body))

    async def validate_invite(self, token: str) -> httpx.Response:
        return await self._get("/auth/invite/validate", params={"token": token})

    async def accept_invite(self, token: str, password: str, first_name: str, last_name: str) -> httpx.Response:
        body = {"token": token, "password": password, "firstName": first_name, "lastName": last_name}
        return self._signed_in(await self._post("/auth/invite/accept", body))

    async def forgot_password(self, email: str, tenant_slug: str) -> httpx.Response:
        return await self._post("/auth/forgot-password", {"email": email, "tenantSlug": tenant_slug})

    async def validate_reset(self, token: str) -> httpx.Response:
        return await self._get("/auth/reset-password/validate", params={"token": token})

    async def reset_password(self, token: str, new_password: str) -> httpx.Response:
        return await self._post("/auth/reset-password", {"token": token, "newPassword": new_password})

    async def change_password(self, current: str, new: str) -> httpx.Response:
        body = {"currentPassword": current, "newPassword": new}
        return await self._post("/auth/change-password", body)

    async def _get(self, path: str, **options: Any) -> httpx.Response:
        return await self._fetch("GET", path, headers=self._bearer(), **options)

    async def _post(self, path: str, body: Any) -> httpx.Response:
        return await self._fetch("POST", path, json=body, headers=self._bearer())

    def _bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.access_token or 'null'}"}

    def _signed_in(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            body = answer.json()
            self.access_token, self.refresh_token = body["accessToken"], body["refreshToken"]
        return answer
