"""Every answer of a dialect fits what its operation declares for that status, field by field and in order."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from pydantic import BaseModel

from identity.rest.dialect import Dialect, Operation

ANYWHERE = {405, 408, 413, 415, 429, 500, 503}
"""What any operation may be refused with, without saying so."""


def conforming(dialect: Dialect) -> Callable[[httpx.Response], Awaitable[None]]:
    """A hook for a client's responses, which fails where one is not what the dialect says of itself."""

    async def check(response: httpx.Response) -> None:
        path = response.request.url.path
        root = next((root for root in dialect.roots if f"{path}/".startswith(f"{root}/")), None)
        if root is None or response.request.method == "OPTIONS":
            return
        await response.aread()
        operation = _operation(dialect, response.request.method, dialect.root + path.removeprefix(root))
        model = _declared(dialect, operation, response.status_code)
        if isinstance(model, str):
            assert response.content == b""
        else:
            fits(model, response.content)

    return check


def fits(model: type[BaseModel], content: bytes) -> None:
    """Fails unless a JSON text is as the model writes it: fields, types and order, and null only where it must be."""
    read = model.model_validate_json(content, strict=True)

    written = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert json.loads(content, object_pairs_hook=list) == json.loads(json.dumps(written), object_pairs_hook=list)
    assert _needless_nulls(read) == []


def _operation(dialect: Dialect, method: str, path: str) -> Operation | None:
    wanted = ("GET" if method == "HEAD" else method, path)
    return next((each for each in dialect.operations if (each.method, each.path) == wanted), None)


def _declared(dialect: Dialect, operation: Operation | None, status: int) -> type[BaseModel] | str:
    if operation is None:
        assert status in (404, 405)
        return dialect.failure
    declared = operation.answers.get(status)
    assert declared is not None or status in ANYWHERE, f"{operation.method} {operation.path} declares no {status}"
    return dialect.failure if status >= 400 and not isinstance(declared, type) else declared or ""


def _needless_nulls(value: Any) -> list[str]:
    """The fields that are null and could have been left out."""
    if isinstance(value, list):
        return [name for each in value for name in _needless_nulls(each)]
    if not isinstance(value, BaseModel):
        return []
    fields = type(value).model_fields
    return [
        name
        for each in value.model_fields_set
        for name in ([each] if getattr(value, each) is None and not fields[each].is_required() else [])
        + _needless_nulls(getattr(value, each))
    ]
