"""What a dialect is: the HTTP API of one product as a list of operations, and how it words its errors."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from importlib import import_module
from posixpath import commonpath
from typing import Any, Literal, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ConfigDict, field_validator
from pydantic.alias_generators import to_camel
from starlette.responses import JSONResponse, Response

from identity.rest.exchange import Exchange, validated
from identity.rest.refusals import INVALID_ARGUMENT, Refusal, headers_of
from identity.rest.routing import Endpoint


class Body(BaseModel):
    """What a product's clients send. What else they send is left alone, as their own backends did; types are strict."""

    model_config = ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _without_surrogates(cls, value: object) -> object:
        """What JSON can escape and UTF-8 cannot hold, and so no message of the contract (N-50)."""
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValueError("The value has to be a string without lone surrogates") from None
        return value


class CamelBody(Body):
    """The same, spelled in lowerCamelCase."""

    model_config = ConfigDict(alias_generator=to_camel)


class Reply(BaseModel):
    """What a product's clients read. The order of the fields is that of the product's document.

    A field that may be null is always there; one with a default of None is left out where there is nothing to say.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)


class CamelReply(Reply):
    """The same, spelled in lowerCamelCase."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class Fault(Reply):
    """One field that is wrong, as the product calls it; never its value."""

    field: str
    message: str


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
    back by status: a model, or words where there is nothing to model or the dialect's `failure`. `credential` is how
    the caller is known. `names` is what the product calls fields of the contract, `words` what it says here for some
    of its reasons.
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
    names: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The HTTP API of one product.

    `refuse` gives every refusal the product's own shape and words, which `failure` models. What is below `root` is
    served below the paths of `also_at` as well. `about` says in a paragraph what the page of its documentation begins
    with.
    """

    name: str
    title: str
    operations: tuple[Operation, ...]
    refuse: Callable[[Refusal], Response]
    failure: type[BaseModel]
    about: str = ""
    also_at: tuple[str, ...] = ()

    @property
    def root(self) -> str:
        """The path that all of its operations are below, and where nothing else is."""
        return commonpath(operation.path for operation in self.operations)

    @property
    def roots(self) -> tuple[str, ...]:
        """Every path where the product answers."""
        return (self.root, *self.also_at)

    def endpoints(self) -> list[Endpoint]:
        """An endpoint for each operation, below each root."""
        return [
            Endpoint(operation.method, root + operation.path.removeprefix(self.root), _answer(operation), self.refuse)
            for root in self.roots
            for operation in self.operations
        ]


def load_dialect(name: str) -> Dialect:
    """The dialect of a product: `DIALECT` of the module `identity.rest.dialects.<name>`."""
    dialect = import_module(f"identity.rest.dialects.{name}").DIALECT
    assert isinstance(dialect, Dialect)  # noqa: S101  (our own module)
    return dialect


def reply(model: BaseModel, status: int = 200, *, exclude_none: bool = False) -> JSONResponse:
    """A model as the answer; `exclude_none` leaves out what the product leaves out when it has none."""
    return JSONResponse(model.model_dump(mode="json", by_alias=True, exclude_none=exclude_none), status)


def refused(refusal: Refusal, failure: BaseModel) -> JSONResponse:
    """A refusal in a product's own shape, without what is None in it."""
    body = failure.model_dump(mode="json", by_alias=True, exclude_none=True)
    return JSONResponse(body, refusal.status, headers=headers_of(refusal))


async def alike(call: Awaitable[object]) -> None:
    """Wait for a call whose answer is the same whoever is asked for, and so also for what names nobody (RC-03).

    Raises a Refusal for everything else.
    """
    try:
        await call
    except Refusal as refusal:
        if refusal.code != INVALID_ARGUMENT:
            raise


def moment(timestamp: Timestamp) -> str:
    """A moment as JSON of the web has it: in UTC, with milliseconds."""
    return timestamp.ToDatetime(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _answer(operation: Operation) -> Callable[[Exchange], Awaitable[Response]]:
    async def answer(exchange: Exchange) -> Response:
        try:
            return await operation.handle(exchange, await _read(operation, exchange))
        except Refusal as refusal:
            refusal.translate(operation.names, operation.words)
            raise

    return answer


async def _read(operation: Operation, exchange: Exchange) -> BaseModel | None:
    if operation.body is None:
        return None
    if operation.takes_forms and exchange.media_type == "application/x-www-form-urlencoded":
        return validated(operation.body, await exchange.form())
    return await exchange.read(operation.body)
