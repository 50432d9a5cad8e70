"""JSON and headers that are all right for a parser, and not for what comes behind it (N-50, TR-05).

The service is away: what is passed on to it gets 503, and what is refused before gets 400.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic

import httpx
import pytest
import pytest_asyncio
from tests.rest.web import nobody_behind

from identity.rest.strict_json import DEEPEST


@pytest_asyncio.fixture(scope="module")
async def door() -> AsyncIterator[httpx.AsyncClient]:
    async with nobody_behind() as client:
        yield client


@pytest.mark.parametrize(
    "value", ["\xe9", "a\tb", "00-" + "a" * 32, "", "x" * 5000, "00-" + "a" * 32 + "-" + "b" * 16 + "-01"]
)
@pytest.mark.parametrize("header", ["traceparent", "user-agent", "x-request-id", "accept-language", "referer"])
async def test_TR_05_a_header_that_no_metadata_can_hold_fails_no_call(
    door: httpx.AsyncClient, header: str, value: str
) -> None:
    answer = await door.get("/v1/setup", headers=[(header.encode(), value.encode("latin-1"))])

    assert answer.status_code == 503


async def test_TR_05_a_credential_that_no_metadata_can_hold_is_refused(door: httpx.AsyncClient) -> None:
    for value in (b"Bearer \xe9", b"Bearer a\tb"):
        assert (await door.get("/v1/session", headers=[(b"authorization", value)])).status_code == 400


def nested(depth: int, opening: str = '{"a":', closing: str = "}") -> str:
    return opening * depth + "1" + closing * depth


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ('{"email":"' + "]" * 60 + '","attributes":{"a":' + nested(60, "[", "]") + "}}", 400),
        ('{"email":"' + "]" * 700 + '","attributes":{"a":' + nested(700, "[", "]") + "}}", 400),
        ('{"email":"\\\\","attributes":' + nested(60) + "}", 400),
        ('{"email":"\\"' + "]" * 60 + '","attributes":' + nested(60) + "}", 400),
        ('{"attributes":' + nested(DEEPEST) + "}", 400),
        ('{"attributes":' + nested(DEEPEST - 1) + "}", 503),
        ('{"attributes":{"a":' + nested(DEEPEST - 2, "[", "]") + "}}", 503),
        ('{"email":"' + "[{" * 40 + '"}', 503),
        ('{"email":"' + '\\"[' * 40 + '"}', 503),
        ('{"attributes":{"a":1e999}}', 400),
        ('{"attributes":{"a":' + "9" * 400 + "}}", 400),
        ('{"attributes":{"\\ud800":1}}', 400),
    ],
)
async def test_N_50_depth_is_that_of_brackets_and_not_of_texts(door: httpx.AsyncClient, text: str, status: int) -> None:
    answer = await door.post("/v1/setup", content=text, headers={"content-type": "application/json"})

    assert answer.status_code == status, answer.text


async def test_F_15_a_text_without_an_end_is_refused_at_once(door: httpx.AsyncClient) -> None:
    begun = monotonic()
    text = '{"email":"' + '\\"' * 30_000

    answer = await door.post("/v1/setup", content=text, headers={"content-type": "application/json"})

    assert answer.status_code == 400
    assert monotonic() - begun < 2


@pytest.mark.parametrize("permissions", ['{"\\ud800":{"actions":{"a":true}}}', '{"p":{"actions":{"\\udfff":true}}}'])
async def test_N_50_a_lone_surrogate_is_no_key_of_a_map(door: httpx.AsyncClient, permissions: str) -> None:
    answer = await door.put(
        "/v1/roles/x", content=f'{{"permissions":{permissions}}}', headers={"content-type": "application/json"}
    )

    violations = answer.json()["details"][1]["fieldViolations"]
    assert answer.status_code == 400
    assert [violation["reason"] for violation in violations] == ["WRONG_TYPE"]
