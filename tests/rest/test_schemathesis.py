"""Whatever the document allows and whatever it forbids: no 5xx, no answer that the document does not know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from tests.effort import effort
from tests.mailbox import Mailbox
from tests.rest.web import browsing
from tests.running import running

from identity.rest.docs.openapi import canonical

EXAMPLES = effort(5, 200, "IDENTITY_TEST_EXAMPLES")
DOCUMENT = canonical()
# A stream does not end by itself; tests of its own read it.
OPERATIONS = {
    operation["operationId"]: {"parameters", "requestBody"} & operation.keys()
    for item in DOCUMENT["paths"].values()
    for operation in item.values()
    if operation["operationId"] != "WatchRevocations"
}
CASES = [
    pytest.param(name, mode, id=f"{name}-{mode}")
    for name, inputs in OPERATIONS.items()
    for mode in ("positive", "negative")
    if inputs or mode == "positive"
]


@pytest_asyncio.fixture(scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> AsyncIterator[tuple[str, str]]:
    """Where a service listens, and the access token of somebody; what is tested has no database in it."""
    place = tmp_path_factory.mktemp("schemathesis")
    async with running(place, mailbox, rest_address="127.0.0.1:0") as service, browsing(service) as web:
        yield str(web.client.base_url), await web.signed_in()


class Judge:
    """What Schemathesis knows of the document. It is slow to import, and all that collect the tests would wait."""

    def __init__(self) -> None:
        import schemathesis
        from schemathesis.checks import not_a_server_error
        from schemathesis.specs.openapi.checks import (
            content_type_conformance,
            negative_data_rejection,
            response_schema_conformance,
            status_code_conformance,
        )

        self._schema: Any = schemathesis.openapi.from_dict(DOCUMENT)
        self.checks = [
            not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
            negative_data_rejection,
        ]

    def cases(self, operation_id: str, mode: str) -> Any:
        """The requests of an operation that keep its rules, or those that break one."""
        from schemathesis import GenerationMode

        return self._schema.find_operation_by_id(operation_id).as_strategy(generation_mode=GenerationMode(mode))


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge()


@pytest.mark.parametrize(("operation_id", "mode"), CASES)
async def test_answers_are_those_of_the_document(
    host: tuple[str, str], judge: Judge, operation_id: str, mode: str
) -> None:
    base, access = host

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=judge.cases(operation_id, mode))
    def run(case: Any) -> None:
        case.headers = {**(case.headers or {}), "authorization": f"Bearer {access}"}
        case.call_and_validate(base_url=base, checks=judge.checks, timeout=20)

    await asyncio.to_thread(run)
