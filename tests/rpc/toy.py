"""A toy service with a method for each kind of access, a server around it, and a client.

The service is described here and not in protos/, so that no test depends on the words of the contract.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from identity.domain.callers import Caller
from identity.domain.errors import PermissionDenied, TokenInvalid, Unauthenticated
from identity.rpc.access import AccessPolicy
from identity.rpc.limits import server_options
from identity.rpc.pipeline import Pipeline
from identity.rpc.source import SourceReader
from identity.rpc.work import hashes
from identity_pb.v1 import access_pb2

SERVICE = "toy.v1.ToyService"
PATIENCE = 20.0
SCOPE = "toy:ask"
PERMISSION = "toys:manage"
TOKEN, RESTRICTED_TOKEN, KEY = "good", "restricted", "key"
CALLER = Caller(
    account_id=UUID(int=1),
    session_id=UUID(int=2),
    tenant_id=None,
    role="owner",
    level=100,
    amr=("pwd",),
    authenticated_at=datetime(2026, 3, 1, tzinfo=UTC),
)

# name: access, scope, permission, streams replies
METHODS: Mapping[str, tuple[access_pb2.Access.ValueType, str, str, bool]] = {
    "Echo": (access_pb2.ACCESS_PUBLIC, "", "", False),
    "Run": (access_pb2.ACCESS_PUBLIC, "", "", False),
    "Hash": (access_pb2.ACCESS_PUBLIC, "", "", False),
    "Ask": (access_pb2.ACCESS_PUBLIC, SCOPE, "", False),
    "Prove": (access_pb2.ACCESS_CHALLENGE, "", "", False),
    "Mine": (access_pb2.ACCESS_CALLER, "", "", False),
    "Manage": (access_pb2.ACCESS_ADMIN, "", PERMISSION, False),
    "ManageAsync": (access_pb2.ACCESS_ADMIN, "", PERMISSION, False),
    "Serve": (access_pb2.ACCESS_SERVICE, SCOPE, "", False),
    "Watch": (access_pb2.ACCESS_CALLER, "", "", True),
    "Unmade": (access_pb2.ACCESS_CALLER, "", "", False),
}


def rule(number: int, payload: bytes) -> bytes:
    """Encodes a length-delimited field; buf.validate has no google.protobuf classes to write its options with."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low]) if not rest else bytes([low | 128]) + _varint(rest)


def _describe() -> descriptor_pb2.FileDescriptorProto:
    field_kind, label = descriptor_pb2.FieldDescriptorProto, descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="toy.proto", package="toy.v1", syntax="proto3")
    request = file.message_type.add(name="ToyRequest")
    text = request.field.add(name="text", number=1, type=field_kind.TYPE_STRING, label=label.LABEL_OPTIONAL)
    # (buf.validate.field).string.max_len = 16
    text.options.MergeFromString(rule(1159, rule(14, b"\x18\x10")))
    tags = request.field.add(name="tags", number=2, type=field_kind.TYPE_STRING, label=label.LABEL_REPEATED)
    # (buf.validate.field).repeated.items.string.max_len = 4
    tags.options.MergeFromString(rule(1159, rule(18, rule(4, rule(14, b"\x18\x04")))))
    request.field.add(
        name="inner", number=3, type=field_kind.TYPE_MESSAGE, type_name=".toy.v1.ToyRequest", label=label.LABEL_OPTIONAL
    )
    entry = request.nested_type.add(name="LabelsEntry")
    entry.options.map_entry = True
    for number, name in ((1, "key"), (2, "value")):
        entry.field.add(name=name, number=number, type=field_kind.TYPE_STRING, label=label.LABEL_OPTIONAL)
    labels = request.field.add(
        name="labels",
        number=4,
        type=field_kind.TYPE_MESSAGE,
        type_name=".toy.v1.ToyRequest.LabelsEntry",
        label=label.LABEL_REPEATED,
    )
    # (buf.validate.field).map.values.string.max_len = 4
    labels.options.MergeFromString(rule(1159, rule(19, rule(5, rule(14, b"\x18\x04")))))
    request.field.add(name="blob", number=5, type=field_kind.TYPE_BYTES, label=label.LABEL_OPTIONAL)
    reply = file.message_type.add(name="ToyReply")
    reply.field.add(name="text", number=1, type=field_kind.TYPE_STRING, label=label.LABEL_OPTIONAL)
    service = file.service.add(name="ToyService")
    for name, (access, scope, permission, streams) in METHODS.items():
        method = service.method.add(
            name=name, input_type=".toy.v1.ToyRequest", output_type=".toy.v1.ToyReply", server_streaming=streams
        )
        method.options.Extensions[access_pb2.access] = access
        if scope:
            method.options.Extensions[access_pb2.scope] = scope
        if permission:
            method.options.Extensions[access_pb2.permission] = permission
    return file


_POOL = descriptor_pool.Default()
_POOL.AddSerializedFile(_describe().SerializeToString())
ToyRequest: Any = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("toy.v1.ToyRequest"))
ToyReply: Any = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("toy.v1.ToyReply"))


def _unmade(self: object, request: Any, context: Any) -> Any:
    raise NotImplementedError


_unmade.__module__ = "toy_pb2_grpc"  # as in generated code


@dataclass
class Toy:
    """The servicer; a test says what its methods do."""

    do: Callable[[Any], Any] = lambda request: ToyReply(text=request.text)
    run: Callable[[Any], Any] | None = None
    watch: Callable[[Any], AsyncIterator[Any]] | None = None

    def Echo(self, request: Any, context: Any) -> Any:
        return self.do(request)

    Ask = Prove = Mine = Manage = Serve = Echo
    Unmade = _unmade

    @hashes
    def Hash(self, request: Any, context: Any) -> Any:
        return self.do(request)

    async def Run(self, request: Any, context: Any) -> Any:
        return self.do(request) if self.run is None else await self.run(request)

    ManageAsync = Run

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        if self.watch is None:
            yield self.do(request)
            return
        async for reply in self.watch(request):
            yield reply


def handlers(toy: Toy) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    made = {}
    for name, (_, _, _, streams) in METHODS.items():
        make = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
        made[name] = make(
            getattr(toy, name),
            request_deserializer=ToyRequest.FromString,
            response_serializer=ToyReply.SerializeToString,
        )
    return made


def authenticate(token: str) -> Caller:
    if token == RESTRICTED_TOKEN:
        return Caller(**{name: getattr(CALLER, name) for name in CALLER.__slots__} | {"scope": "password_change"})
    if token != TOKEN:
        raise TokenInvalid()
    return CALLER


def authenticate_service(token: str, scope: str) -> str:
    if token != KEY:
        raise Unauthenticated()
    if scope != SCOPE:
        raise PermissionDenied(scope=scope)
    return "toy-backend"


@dataclass
class Line:
    """What was logged about one call."""

    method: str
    code: str
    reason: str
    seconds: float
    request_id: str
    network: str | None
    account: str | None
    trace_id: str | None


@dataclass
class Served:
    """A running toy service."""

    toy: Toy
    pipeline: Pipeline
    server: grpc.aio.Server
    channel: grpc.aio.Channel
    address: str
    lines: list[Line] = field(default_factory=list)

    def call(
        self,
        method: str,
        request: Any = None,
        *,
        metadata: Iterable[tuple[str, str | bytes]] = (),
        timeout: float | None = 20,
        channel: grpc.aio.Channel | None = None,
    ) -> Any:
        """Calls a method by name or path; bytes are sent as they are."""
        path = method if "/" in method else f"/{SERVICE}/{method}"
        raw = request if isinstance(request, bytes) else (request or ToyRequest()).SerializeToString()
        multi_callable: Any = (channel or self.channel).unary_unary(path, None, ToyReply.FromString)
        return multi_callable(raw, metadata=tuple(metadata), timeout=timeout)

    def stream(self, request: Any = None, *, metadata: Iterable[tuple[str, str]] = ()) -> Any:
        multi_callable: Any = self.channel.unary_stream(f"/{SERVICE}/Watch", None, ToyReply.FromString)
        return multi_callable((request or ToyRequest()).SerializeToString(), metadata=tuple(metadata), timeout=20)


def bearer(token: str) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {token}"),)


@asynccontextmanager
async def serving(toy: Toy | None = None, *, unix: str | None = None, **options: Any) -> AsyncIterator[Served]:
    """Runs a toy service; `options` are those of the pipeline."""
    toy = toy or Toy()
    lines: list[Line] = []
    settings: dict[str, Any] = {
        "policy": AccessPolicy.read([SERVICE]),
        "authenticate": authenticate,
        "authenticate_service": authenticate_service,
        "sources": SourceReader(()),
        "log": lambda *values: lines.append(Line(*values)),
    }
    pipeline = Pipeline(**settings | options)
    server = grpc.aio.server(interceptors=(pipeline,), options=server_options())
    server.add_registered_method_handlers(SERVICE, handlers(toy))
    address = f"unix:{unix}" if unix else "127.0.0.1:0"
    port = server.add_insecure_port(address)
    address = address if unix else f"127.0.0.1:{port}"
    await server.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Served(toy, pipeline, server, channel, address, lines)
    finally:
        await server.stop(None)
        await pipeline.close()


@dataclass(frozen=True)
class Failure:
    """A failed call as the client sees it."""

    code: grpc.StatusCode
    message: str
    reason: str
    metadata: Mapping[str, str]
    violations: Mapping[str, str]
    retry_seconds: float | None
    trailing: Mapping[str, str | bytes]


async def failure(call: Any) -> Failure:
    """Awaits a call that has to fail."""
    try:
        reply = await call
    except grpc.aio.AioRpcError as error:
        trailing = dict(error.trailing_metadata() or ())
        found = partial(_detail, trailing.get("grpc-status-details-bin", b""))
        info, bad, retry = found(ErrorInfo), found(BadRequest), found(RetryInfo)
        return Failure(
            error.code(),
            error.details() or "",
            info.reason,
            dict(info.metadata),
            {violation.field: violation.reason for violation in bad.field_violations},
            retry.retry_delay.ToMilliseconds() / 1000 if retry.HasField("retry_delay") else None,
            trailing,
        )
    raise AssertionError(f"the call went well: {reply}")


def _detail(raw: Any, kind: Any) -> Any:
    found = kind()
    for detail in Status.FromString(raw).details:
        detail.Unpack(found)
    return found


async def until(condition: Callable[[], object]) -> None:
    """Looks again at every turn of the loop."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)
