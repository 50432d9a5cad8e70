"""The mobile product's app, as somebody would write it who has only the product's document."""

from __future__ import annotations

from typing import Any

import httpx
from tests.rest.independent.senders import Fetch

DEVICE = {
    "device_type": "Mobile",
    "device_name": "SAMSUNG GALAXY A13",
    "device_os": "Android",
    "device_fingerprint": "HJJKJ6-BKJLOI-12",
}


class MobileClient:
    """The app on one phone."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.access_token = ""
        self.refresh_token = ""
        self.account: dict[str, Any] = {}

    async def login(self, identifier: str, password: str) -> httpx.Response:
        return self._signed_in(await self._post("/login", {"identifier": identifier, "password": password, **DEVICE}))

    async def request_otp(self, identifier: str) -> httpx.Response:
        return await self._post("/2fa/request-otp", {"identifier": identifier})

    async def verify(self, identifier: str, password: str, otp: str) -> httpx.Response:
        body = {"identifier": identifier, "password": password, **DEVICE, "otp": otp}
        return self._signed_in(await self._post("/2fa/verify", body))

    async def _post(self, path: str, body: Any) -> httpx.Response:
        return await self._fetch("POST", f"/api/v1/auth{path}", json=body)

    def _signed_in(self, answer: httpx.Response) -> httpx.Response:
        body = answer.json()
        if answer.is_success and "access_token" in body:
            self.access_token, self.refresh_token = body["access_token"], body["refresh_token"]
            self.account = body["account"]
        return answer
