"""WatchRevocations as server-sent events, for backends that speak HTTP only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from tests.conftest import Launch
from tests.rest.web import Web, browsing
from tests.running import Running

from identity.domain.service_access import create_service_key, learn_service_keys

PATH = "/v1/revocations:watch"


def service_key(service: Running, scope: str) -> dict[str, str]:
    key = create_service_key(service.world, f"{scope} over HTTP", [scope])
    learn_service_keys(service.world)
    return {"authorization": f"Bearer {key}"}


async def events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, str, Any]]:
    """The events of a stream: name, id and data."""
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            yield fields["event"], fields["id"], json.loads(fields["data"])
            fields = {}


async def test_a_sign_out_reaches_a_watcher_and_a_cursor_goes_on_where_it_stopped(launch: Launch) -> None:
    service = await launch(rest_address="127.0.0.1:0")
    headers = service_key(service, "session:watch")
    async with browsing(service) as web:
        access = await web.signed_in()
        session_id = (await web.call("GET", "/v1/session", bearer=access))["session"]["id"]

        async with web.client.stream("GET", PATH, headers=headers) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            seen = events(stream.aiter_lines())
            assert (await anext(seen))[0] == "snapshot_complete"
            await web.call("POST", "/v1/session:signOut", bearer=access)
            name, cursor, data = await asyncio.wait_for(anext(seen), 5)
            assert (name, data["revocation"]["sessionId"]) == ("revocation", session_id)

        again = headers | {"last-event-id": cursor}
        async with web.client.stream("GET", PATH, headers=again) as stream:
            _, _, data = await asyncio.wait_for(anext(events(stream.aiter_lines())), 5)
            assert data["snapshot"] is False


async def test_who_may_not_watch_gets_a_refusal_and_no_stream(web: Web) -> None:
    assert (await web.client.get(PATH)).status_code == 401
    cursor = await web.client.get(PATH, params={"cursor": "x"}, headers=service_key(web.service, "session:watch"))
    assert (cursor.status_code, cursor.json()["code"]) == (400, 3)


async def test_F_18_a_watcher_does_not_hold_the_end_up(launch: Launch) -> None:
    service = await launch(rest_address="127.0.0.1:0", shutdown_seconds=60)
    headers = service_key(service, "session:watch")
    async with browsing(service) as web, web.client.stream("GET", PATH, headers=headers) as stream:
        seen = events(stream.aiter_lines())
        await anext(seen)

        await asyncio.wait_for(service.service.stop(), 20)

        assert [name async for name, _, _ in seen if name == "revocation"] == []
