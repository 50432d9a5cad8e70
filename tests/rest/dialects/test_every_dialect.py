"""What holds for every dialect: each refusal has the product's own shape, and it serves what it says it serves."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel
from tests.rest.dialects.conforming import conforming, fits

from identity.rest.dialect import Operation, load_dialect
from identity.rest.docs.openapi import of_dialect
from identity.rest.listener import Listener
from identity.rest.refusals import INTERNAL, RESOURCE_EXHAUSTED, Refusal
from identity.settings import load_rest_settings

# A request that each product would let through to the service.
WELL_FORMED: dict[str, tuple[str, dict[str, Any]]] = {
    "merchant": ("/auth/reset-password/change", {"token": "x", "newPassword": "Commerce-2026"}),
    "mobile": ("/api/v1/auth/login", {"identifier": "a@example.org", "password": "secret"}),
    "organization": (
        "/api/auth/register",
        {
            "organizationName": "Acme",
            "firstName": "A",
            "lastName": "B",
            "email": "a@example.org",
            "password": "secret",
        },
    ),
    "salon": ("/api/auth/login", {"email": "a@example.org", "password": "secret"}),
    "tenant": ("/auth/login", {"email": "a@example.org", "password": "secret"}),
}
BESIDE_THE_DOCUMENT = {
    # Clients of NextAuth, by which the document has people sign in, ask these first.
    "organization": ("GET /api/auth/csrf", "GET /api/auth/providers"),
}
DIALECTS = list(WELL_FORMED)
SEEDS = (Path(__file__).parents[3] / "docs/seed-coverage.md").read_text(encoding="utf-8")
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
async def test_N_50_a_string_that_is_no_text_is_refused_by_the_name_of_its_field(name: str, tmp_path: Path) -> None:
    path, body = WELL_FORMED[name]
    async with _alone(name, tmp_path) as client:
        for field in body:
            answer = await client.post(path, content=json.dumps({**body, field: "\ud800"}), headers=JSON)
            assert (answer.status_code, f'"field":"{field}"' in answer.text) == (400, True)


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


@pytest.mark.parametrize("name", DIALECTS)
def test_the_openapi_document_is_valid_and_names_every_operation(name: str) -> None:
    dialect = load_dialect(name)

    document = of_dialect(dialect)

    validate(document)
    described = {(verb.upper(), path) for path, item in document["paths"].items() for verb in item}
    assert {(operation.method, operation.path) for operation in dialect.operations} == described


@pytest.mark.parametrize("name", DIALECTS)
def test_every_field_and_error_of_the_products_document_is_served(name: str) -> None:
    """As docs/seed-coverage.md lists them: in the models of the operation of that method and path."""
    operations = {f"{each.method} {each.path}": each for each in load_dialect(name).operations}
    section = re.split(rf"(?m)^## {name}$", SEEDS)[1].partition("\n## ")[0]
    endpoints = re.split(r"(?m)^### (.+)$", section)[1:]
    assert operations.keys() == {*endpoints[::2], *BESIDE_THE_DOCUMENT.get(name, ())}

    missing = [
        f"{endpoint}: {part} {field}"
        for endpoint, rows in zip(endpoints[::2], endpoints[1::2], strict=True)
        for part, field in re.findall(r"(?m)^\| (body|response|error|query) \| `([^`]+)` \|(?!.* absent \|$)", rows)
        if field.replace("[]", "").strip(".") not in _served(operations[endpoint], part)
    ]

    assert missing == []


def _served(operation: Operation, part: str) -> set[str]:
    match part:
        case "body":
            return set(_fields(operation.body))
        case "error":
            return {str(status) for status in operation.answers}
        case "query":
            return {parameter.name for parameter in operation.parameters if parameter.place == "query"}
        case _:
            return {name for answer in operation.answers.values() for name in _fields(answer)}


def _fields(kind: Any, above: str = "") -> Iterator[str]:
    """The names in a model and, with dots, of the models within."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        for inner in get_args(kind):
            yield from _fields(inner, above)
        return
    for name, field in kind.model_fields.items():
        path = above if name == "root" else f"{above}{field.alias or name}"
        yield path
        yield from _fields(field.annotation, path if name == "root" else f"{path}.")


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
