"""The yardstick: a bare RPC on the same gRPC stack, with a trivial handler and nothing around it."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
from google.protobuf.wrappers_pb2 import StringValue

METHOD = "/benchmarks.Echo/Echo"


async def _echo(request: StringValue, context: grpc.aio.ServicerContext[Any, Any]) -> StringValue:
    return request


async def start() -> tuple[grpc.aio.Server, str]:
    """A listening server and its address."""
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        _echo, request_deserializer=StringValue.FromString, response_serializer=StringValue.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("benchmarks.Echo", {"Echo": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, f"127.0.0.1:{port}"


def stub(channel: grpc.aio.Channel) -> Any:
    """What calls it."""
    return channel.unary_unary(
        METHOD, request_serializer=StringValue.SerializeToString, response_deserializer=StringValue.FromString
    )
