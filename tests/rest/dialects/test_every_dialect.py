"""What holds for every dialect: each refusal has the product's own shape, wherever it comes from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.rest.dialects.conforming import conforming, fits

from identity.rest.dialect import load_dialect
from identity.rest.listener import Listener
from identity.rest.refusals import INTERNAL, RESOURCE_EXHAUSTED, Refusal
from identity.settings import load_rest_settings

# A request that each product would let through to the service.
WELL_FORMED: dict[str, tuple[str, dict[str, Any]]] = {
    "merchant": ("/auth/reset-password/change", {"token": "x", "newPassword": "Commerce-2026"}),
    "tenant": ("/auth/login", {"email": "a@example.org", "password": "secret"}),
    "mobile": ("/api/v1/auth/login", {"identifier": "a@example.org", "password": "secret"}),
    "salon": ("/api/auth/login", {"email": "a@example.org", "password": "secret"}),
}
DIALECTS = list(WELL_FORMED)
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("name", DIALECTS)
async def test_every_refusal_has_the_shape_of_the_product(name: str, tmp_path: Path) -> None:
    """Unknown paths, methods, types, sizes, broken JSON and escaped slashes; each answer is checked by the hook."""
    path, body = WELL_FORMED[name]
    async with _alone(name, tmp_path) as client:
        statuses = [
            (await client.get(f"{load_dialect(name).root}/nothing-here")).status_code,
            (await client.put(path, json=body)).status_code,
            (await client.post(path, content=b"<a/>", headers={"content-type": "text/xml"})).status_code,
            (await client.post(path, content=b" " * 65_537, headers=JSON)).status_code,
            (await client.post(path, content=b"{", headers=JSON)).status_code,
            (await client.post(path, content=b"[]", headers=JSON)).status_code,
            (await client.post(path, json={})).status_code,
        ]

    assert statuses == [404, 405, 415, 413, 400, 400, 400]


@pytest.mark.parametrize("name", DIALECTS)
async def test_AV_02_a_service_that_is_away_is_no_answer_about_credentials(name: str, tmp_path: Path) -> None:
    path, body = WELL_FORMED[name]
    async with _alone(name, tmp_path) as client:
        answer = await client.post(path, json=body)

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("name", DIALECTS)
def test_TR_05_an_error_that_nobody_foresaw_tells_its_reference_alone(name: str) -> None:
    dialect = load_dialect(name)
    refusal = Refusal(INTERNAL, "internal error; ref=4f2a", reason="INTERNAL", metadata={"ref": "4f2a"})

    answer = dialect.refuse(refusal)

    assert answer.status_code == 500
    assert b"4f2a" in answer.body
    fits(dialect.failure, bytes(answer.body))


@pytest.mark.parametrize("name", DIALECTS)
def test_who_has_to_wait_is_told_for_how_long(name: str) -> None:
    dialect = load_dialect(name)

    answer = dialect.refuse(Refusal(RESOURCE_EXHAUSTED, "Wait.", reason="RATE_LIMITED", retry_after=2.5))

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    fits(dialect.failure, bytes(answer.body))


@asynccontextmanager
async def _alone(name: str, directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a container whose service is not there."""
    settings = load_rest_settings(dialect=name, rest_address="127.0.0.1:0", upstream=f"unix:{directory}/nobody")
    listener = Listener(settings)
    await listener.start()
    try:
        hooks = {"response": [conforming(load_dialect(name))]}
        base = f"http://{listener.address}"
        async with httpx.AsyncClient(base_url=base, trust_env=False, event_hooks=hooks) as client:
            yield client
    finally:
        await listener.stop()
