"""One request on its way: what it brought, and the RPCs that are made for it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import grpc.aio
from google.protobuf.message import Message
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Receive, Scope

from identity.rest import strict_json
from identity.rest.refusals import INVALID_ARGUMENT, Refusal, Violation, invalid, malformed
from identity.rest.upstream import Metadata, Upstream
from identity.rest_settings import RestSettings

LARGEST_BODY = 64 * 1024
BODY_WITHIN = 10.0
"""Seconds in which a body has to be there: slow clients hold a task each."""

_LONGEST_HEADER = 4096
_is_traceparent: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}").fullmatch

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)
Body = TypeVar("Body", bound=BaseModel)


class ClientLeft(Exception):
    """The client closed the connection before its request was whole."""


class Exchange:
    """A request with everything an endpoint may want of it.

    `client_address` is None for somebody at this very machine, who may do the first set-up. `params` are the
    placeholders of the path.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        upstream: Upstream,
        settings: RestSettings,
        *,
        request_id: str,
        client_address: str | None,
    ) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers = Headers(scope=scope)
        self.params: Mapping[str, str] = {}
        self.upstream = upstream
        self.settings = settings
        self.request_id = request_id
        self.client_address = client_address
        self._query_string: bytes = scope["query_string"]
        self._receive = receive
        self._body: bytes | None = None

    # What came.

    def header(self, name: str) -> str | None:
        """A header that may be there once. Raises a Refusal for two of them, or one that cannot be passed on."""
        values = self.headers.getlist(name)
        if not values:
            return None
        if len(values) > 1 or len(values[0]) > _LONGEST_HEADER or not (values[0].isascii() and values[0].isprintable()):
            raise invalid(f"The header {name} cannot be read.")
        return values[0]

    @cached_property
    def bearer(self) -> str | None:
        """The credential of the Authorization header, whatever its kind, as it is passed on."""
        return self.header("authorization")

    @cached_property
    def cookies(self) -> Mapping[str, str]:
        """The cookies that were sent; of two with one name, the first, which has the longer path."""
        found: dict[str, str] = {}
        for header in self.headers.getlist("cookie"):
            for name, value in cookie_parser(header).items():
                found.setdefault(name, value)
        return found

    @cached_property
    def query(self) -> dict[str, list[str]]:
        """The parameters of the query, by name. Raises a Refusal for one that is not UTF-8, or not NAME=VALUE."""
        return self._read_query(strict=bool(self._query_string))

    def parameter(self, name: str) -> str | None:
        """One parameter of a query that may hold anything beside. Raises a Refusal if it is there twice."""
        values = self._read_query(strict=False).get(name, [])
        if len(values) > 1:
            raise malformed(name, "The parameter is there twice.", "DUPLICATE_FIELD")
        return values[0] if values else None

    async def body(self) -> bytes:
        """The whole body. Raises a Refusal if it is too large or too slow, ClientLeft if it never comes."""
        if self._body is None:
            self._body = await self._collect()
        return self._body

    async def json(self) -> dict[str, Any]:
        """The members of the JSON object in the body; none for an empty body. Raises a Refusal."""
        body = await self.body()
        if body and self.media_type != "application/json":
            raise Refusal(
                INVALID_ARGUMENT,
                "The body has to be JSON: send content-type application/json.",
                reason="INVALID_REQUEST",
                status=415,
            )
        return strict_json.parse_object(body)

    async def form(self) -> dict[str, str]:
        """The fields of a form in the body. Raises a Refusal."""
        try:
            pairs = parse_qsl(
                (await self.body()).decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=64
            )
        except ValueError:
            raise malformed("", "The form cannot be read.", "MALFORMED_FORM") from None
        if len({name for name, _ in pairs}) < len(pairs):
            raise malformed("", "A field of the form is there twice.", "DUPLICATE_FIELD")
        return dict(pairs)

    async def read(self, model: type[Body]) -> Body:
        """The JSON body as a model. Raises a Refusal that names the fields at fault and repeats no value."""
        return validated(model, await self.json())

    @property
    def media_type(self) -> str:
        """The type of the body without its parameters; only UTF-8 is spoken."""
        media_type, _, parameters = (self.header("content-type") or "").partition(";")
        charset = parameters.strip().lower()
        return media_type.strip().lower() if charset in ("", "charset=utf-8", 'charset="utf-8"') else ""

    # What is asked of the service.

    async def call(
        self,
        rpc: grpc.aio.UnaryUnaryMultiCallable[Request, Reply],
        request: Request,
        *,
        bearer: str | None = None,
    ) -> Reply:
        """Make one RPC as the caller of this request. `bearer` is an access token in place of the header's, or empty
        for nobody's.

        Raises a Refusal.
        """
        return await self.upstream.call(rpc, request, self.metadata(bearer))

    def metadata(self, bearer: str | None = None) -> Metadata:
        """What the service is told beside the message."""
        authorization = self.bearer if bearer is None else bearer and f"Bearer {bearer}"
        # Whatever is not printable ASCII makes a call fail before it is made. Traces of nobody are not worth a refusal.
        trace = self.headers.get("traceparent", "")
        agent = "".join(filter(str.isprintable, self.headers.get("user-agent", "")))[:256]
        told = (
            ("authorization", authorization),
            ("x-client-ip", self.client_address),
            ("x-client-user-agent", agent.encode("ascii", "ignore").decode()),
            ("x-request-id", self.request_id),
            ("traceparent", trace if _is_traceparent(trace) else None),
        )
        return tuple((name, value) for name, value in told if value)

    def _read_query(self, *, strict: bool) -> dict[str, list[str]]:
        try:
            query = self._query_string.decode("ascii")
            pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=strict, errors="strict", max_num_fields=64)
        except ValueError:
            raise malformed("", "The query cannot be read.", "MALFORMED_QUERY") from None
        parameters: dict[str, list[str]] = {}
        for name, value in pairs:
            parameters.setdefault(name, []).append(value)
        return parameters

    async def _collect(self) -> bytes:
        if int(self.headers.get("content-length") or 0) > LARGEST_BODY:
            raise _too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_WITHIN):
                while True:
                    event = await self._receive()
                    if event["type"] == "http.disconnect":
                        raise ClientLeft
                    body += event.get("body", b"")
                    if len(body) > LARGEST_BODY:
                        raise _too_large()
                    if not event.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise Refusal(
                INVALID_ARGUMENT,
                "The body did not come in time.",
                reason="INVALID_REQUEST",
                status=408,
                headers={"connection": "close"},
            ) from None


def validated(model: type[Body], values: Mapping[str, Any]) -> Body:
    """Values as a model. Raises a Refusal that names the fields at fault and repeats no value."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        raise invalid(
            "The request is not valid.",
            *(
                Violation(
                    ".".join(str(part) for part in fault["loc"]),
                    _sentence(fault["msg"]),
                    "REQUIRED" if fault["type"] == "missing" else fault["type"].upper(),
                )
                for fault in faults
            ),
        ) from None


def _sentence(text: str) -> str:
    text = text.removeprefix("Value error, ")
    return text if text.endswith(".") else f"{text}."


def _too_large() -> Refusal:
    return Refusal(
        INVALID_ARGUMENT,
        f"The body is larger than {LARGEST_BODY // 1024} KiB.",
        reason="INVALID_REQUEST",
        status=413,
        headers={"connection": "close"},
    )
