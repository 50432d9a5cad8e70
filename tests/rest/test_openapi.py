"""The OpenAPI document says what is served, and the page shows it without asking anybody else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

from openapi_spec_validator import validate
from tests.rest.web import Web

from identity.rest.bindings import bindings
from identity.rest.docs.openapi import canonical


async def test_the_document_is_valid_and_names_every_binding(web: Web) -> None:
    document = await web.call("GET", "/openapi.json")

    validate(document)
    described = {(verb.upper(), path) for path, item in document["paths"].items() for verb in item}
    assert {(binding.verb, binding.path) for binding in bindings()} == described
    assert document == canonical()


async def test_everything_is_described() -> None:
    undescribed = [
        f"{name}.{field}"
        for name, schema in canonical()["components"]["schemas"].items()
        if name != "Status"
        for field, each in schema.get("properties", {}).items()
        if not each.get("description")
    ]

    assert undescribed == []


async def test_TR_07_queries_take_no_secret_but_to_look(web: Web) -> None:
    """A token may stand in the query of the two calls that use nothing up; passwords and codes never."""
    document = canonical()
    in_queries = {
        (operation["operationId"], parameter["name"])
        for item in document["paths"].values()
        for operation in item.values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query"
    }

    secrets = {name for name in in_queries if re.search("token|password|code|secret", name[1], re.IGNORECASE)}
    assert {name for name in secrets if name[1] != "pageToken"} == {
        ("ValidatePasswordReset", "token"),
        ("ValidateInvite", "token"),
    }


async def test_the_page_shows_every_operation_and_asks_nobody_else(web: Web) -> None:
    answer = await web.client.get("/docs")
    page = _Page()
    page.feed(answer.text)

    operations = {operation["operationId"] for item in canonical()["paths"].values() for operation in item.values()}
    assert operations <= page.ids
    assert page.scripts == 0
    assert all(source.startswith("./") for source in page.sources)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for source in page.sources:
        assert (await web.client.get(urljoin("/docs", source))).status_code == 200


class _Page(HTMLParser):
    """What a page refers to, and the anchors in it."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.sources: set[str] = set()
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        attributes = dict(attrs)
        self.ids.add(attributes.get("id", ""))
        self.scripts += tag == "script"
        reference = attributes.get("src") or (attributes.get("href") if tag in ("link", "a") else None)
        if reference and not reference.startswith("#"):
            self.sources.add(reference)
