"""A service with its HTTP container, and a client that speaks HTTP to it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from sqlalchemy import update
from tests.running import PASSWORD, Running, new_email

from identity.domain.throttles import SOURCE_FAILURES
from identity.rest.listener import Listener
from identity.settings import load_rest_settings
from identity.store.tables import throttles

# httpx looks for it at every step, and to search all of the path for what is not there takes longer than the step.
sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]


class Web:
    """One browser or app: its own cookies and connections. `service` is what runs behind."""

    def __init__(self, client: httpx.AsyncClient, service: Running) -> None:
        self.client = client
        self.service = service

    async def call(
        self, method: str, path: str, body: Any = None, *, bearer: str = "", status: int = 200, **options: Any
    ) -> Any:
        """The JSON of an answer that must have this status."""
        headers = {**options.pop("headers", {}), **({"authorization": f"Bearer {bearer}"} if bearer else {})}
        if body is not None:
            options["json"] = body
        answer = await self.client.request(method, path, headers=headers, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    @asynccontextmanager
    async def another(self) -> AsyncIterator[Web]:
        """Another browser, with cookies of its own, before the same door."""
        base, hooks = self.client.base_url, self.client.event_hooks
        async with httpx.AsyncClient(base_url=base, event_hooks=hooks, trust_env=False, verify=False) as client:
            yield Web(client, self.service)

    async def moved_in(self, email: str = "") -> str:
        """The address of somebody new, who has proven it; all of it over HTTP."""
        email = email or new_email()
        await self.call("POST", "/v1/register", {"email": email, "password": PASSWORD})
        await self.call("POST", "/v1/email:verify", {"token": await self.service.mailbox.token(email)})
        return email

    async def signed_in(self, email: str = "", password: str = PASSWORD) -> str:
        """The access token of somebody, by default of somebody new."""
        email = email or await self.moved_in()
        answer = await self.call("POST", "/v1/login", {"identifier": email, "password": password})
        return str(answer["session"]["tokens"]["accessToken"])

    async def exhausted(self) -> dict[str, str]:
        """Headers that come from another place than this machine, whose budget of failed sign-ins is spent."""
        world = self.service.world
        key = world.throttle_keys.digest("source", "127.0.0.1")

        world.database.write(lambda tx: tx.throttles.charge_window(key, SOURCE_FAILURES, world.clock()))
        self.service.execute(update(throttles).where(throttles.c.key == key).values(charges=SOURCE_FAILURES.limit))
        return {"x-forwarded-for": "192.0.2.1"}


@asynccontextmanager
async def browsing(service: Running, **options: Any) -> AsyncIterator[Web]:
    """A client of a service that was started with `rest_address`."""
    base = f"http://{service.service.http_address}"
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=20, **options) as client:
        yield Web(client, service)


@asynccontextmanager
async def nobody_behind(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a container whose service is away: what it passes on gets 503, and what it refuses does not."""
    told = {"rest_address": "127.0.0.1:0", "upstream": "127.0.0.1:1", **settings}
    listener = Listener(load_rest_settings(**told))
    await listener.start()
    base = f"{'https' if 'rest_certificate' in told else 'http'}://{listener.address}"
    try:
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=20, verify=False) as client:
            yield client
    finally:
        await listener.stop()
