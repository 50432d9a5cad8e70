"""What a dialect is: the HTTP API of one product as a list of operations, and how it words its errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from identity.rest.exchange import Exchange, validated
from identity.rest.refusals import Refusal
from identity.rest.routing import Endpoint


class Body(BaseModel):
    """What a product's clients send. What else they send is left alone, as their own backends did; types are strict."""

    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True)


class Reply(BaseModel):
    """What a product's clients read. The order of the fields is that of the product's document."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Parameter(NamedTuple):
    """What an operation reads beside its body."""

    name: str
    place: Literal["query", "header", "cookie"]
    meaning: str
    required: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One documented endpoint of a product.

    `handle` gets the exchange and the body as `body` has it (None where there is none). `answers` tells what comes
    back by status: a model, or words where there is nothing to model. `credential` is how the caller is known.
    """

    method: str
    path: str
    handle: Callable[[Exchange, Any], Awaitable[Response]]
    summary: str
    body: type[BaseModel] | None = None
    answers: Mapping[int, type[BaseModel] | str] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    credential: Literal["", "bearer", "cookie"] = ""
    takes_forms: bool = False


@dataclass(frozen=True, slots=True)
class Dialect:
    """The HTTP API of one product. `refuse` gives every refusal the product's own shape and words; `about` says in a
    paragraph what the page of its documentation begins with."""

    name: str
    title: str
    operations: tuple[Operation, ...]
    refuse: Callable[[Refusal], Response]
    about: str = ""

    def endpoints(self) -> list[Endpoint]:
        """An endpoint for each operation."""
        return [
            Endpoint(operation.method, operation.path, _answer(operation), self.refuse) for operation in self.operations
        ]


def load_dialect(name: str) -> Dialect:
    """The dialect of a product: `DIALECT` of the module `identity.rest.dialects.<name>`."""
    dialect = import_module(f"identity.rest.dialects.{name}").DIALECT
    assert isinstance(dialect, Dialect)  # noqa: S101  (our own module)
    return dialect


def reply(model: BaseModel, status: int = 200, *, exclude_none: bool = False) -> JSONResponse:
    """A model as the answer; `exclude_none` leaves out what the product leaves out when it has none."""
    return JSONResponse(model.model_dump(mode="json", by_alias=True, exclude_none=exclude_none), status)


def _answer(operation: Operation) -> Callable[[Exchange], Awaitable[Response]]:
    async def answer(exchange: Exchange) -> Response:
        return await operation.handle(exchange, await _read(operation, exchange))

    return answer


async def _read(operation: Operation, exchange: Exchange) -> BaseModel | None:
    if operation.body is None:
        return None
    if operation.takes_forms and exchange.media_type == "application/x-www-form-urlencoded":
        return validated(operation.body, await exchange.form())
    return await exchange.read(operation.body)
