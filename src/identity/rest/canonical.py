"""The canonical API: every method of the contract at the paths of its annotations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.responses import JSONResponse, Response

from identity.rest.bindings import Binding, bindings
from identity.rest.events import follow
from identity.rest.exchange import Exchange
from identity.rest.refusals import Violation, invalid, malformed
from identity.rest.routing import Endpoint
from identity.rest.strict_json import spell
from identity.rest.transcode.reading import read, read_text
from identity.rest.transcode.writing import writer
from identity.rest.upstream import Upstream

KEPT = {"/.well-known/jwks.json": "public, max-age=300"}
"""Answers that may be kept, and for how long: the keys are published before they sign (JW-04)."""


def endpoints(upstream: Upstream) -> Iterable[Endpoint]:
    """One endpoint for each binding of the contract."""
    for binding in bindings():
        answer = _stream(upstream, binding) if binding.method.server_streaming else _unary(upstream, binding)
        yield Endpoint(binding.verb, binding.path, answer)


def _unary(upstream: Upstream, binding: Binding) -> Callable[[Exchange], Awaitable[Response]]:
    kept = KEPT.get(binding.path)
    reply_type = GetMessageClass(binding.method.output_type)
    rpc: Any = upstream.channel.unary_unary(
        binding.rpc, request_serializer=_serialize, response_deserializer=reply_type.FromString
    )
    write = writer(binding.method.output_type)

    async def answer(exchange: Exchange) -> Response:
        reply = await exchange.call(rpc, await _request(binding, exchange))
        return JSONResponse(write(reply), headers={"cache-control": kept} if kept else None)

    return answer


def _stream(upstream: Upstream, binding: Binding) -> Callable[[Exchange], Awaitable[Response]]:
    reply_type = GetMessageClass(binding.method.output_type)
    rpc: Any = upstream.channel.unary_stream(
        binding.rpc, request_serializer=_serialize, response_deserializer=reply_type.FromString
    )
    write = writer(binding.method.output_type)

    async def answer(exchange: Exchange) -> Response:
        request: Any = await _request(binding, exchange)
        if not request.HasField("cursor") and (last := exchange.header("last-event-id")):
            request.cursor = last
        return await follow(upstream.watch(rpc, request, exchange.metadata()), write)

    return answer


async def _request(binding: Binding, exchange: Exchange) -> Message:
    """The request message: from the body, the path, and the query where there is no body."""
    members = await exchange.json() if binding.has_body else {}
    if not binding.has_body and await exchange.body():
        raise malformed("", "This call has no body.", "UNEXPECTED_BODY")
    request = read(GetMessageClass(binding.method.input_type), members)
    faults: list[Violation] = []
    for name, value in exchange.params.items():
        field = binding.method.input_type.fields_by_name[name]
        if field.json_name in members:
            faults.append(Violation(name, "The field stands in the path already.", "DUPLICATE_FIELD"))
        setattr(request, name, read_text(field, value, faults))
    for name, values in exchange.query.items():
        _read_parameter(request, binding.query.get(name), name, values, faults)
    if faults:
        raise invalid("The request is not valid.", *faults)
    return request


def _read_parameter(
    request: Message, field: FieldDescriptor | None, name: str, values: list[str], faults: list[Violation]
) -> None:
    if field is None:
        faults.append(Violation(spell(name), "There is no such parameter of the query here.", "UNKNOWN_FIELD"))
    elif field.is_repeated:
        getattr(request, field.name).extend(read_text(field, value, faults) for value in values)
    elif len(values) > 1:
        faults.append(Violation(field.name, "The parameter is there twice.", "DUPLICATE_FIELD"))
    elif (value := read_text(field, values[0], faults)) is not None:
        setattr(request, field.name, value)


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
