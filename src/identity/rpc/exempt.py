"""Health checks and reflection: let through in every state of the service, and as careful with what arrives.

Their servicers are the libraries' own. What these leave to gRPC, it answers with the names of Python classes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

Context = grpc.aio.ServicerContext[Any, Any]


def wrap_exempt(handler: Any) -> Any:
    """Gives the handler to use, which reads the bytes itself; None for a method that the library lacks."""
    method = handler.stream_stream or handler.unary_stream or handler.unary_unary
    if method.__module__.endswith("_pb2_grpc"):
        return None  # the generated one, which only raises
    if handler.request_streaming:
        wrap, answer = grpc.stream_stream_rpc_method_handler, _talking(method, handler.request_deserializer)
    elif handler.response_streaming:
        wrap, answer = grpc.unary_stream_rpc_method_handler, _answering(method, handler.request_deserializer)
    else:
        wrap, answer = grpc.unary_unary_rpc_method_handler, _answering(method, handler.request_deserializer)
    return wrap(answer, response_serializer=handler.response_serializer)


def _answering(method: Callable[..., Awaitable[Any]], from_bytes: Callable[[bytes], Message]) -> Callable[..., Any]:
    async def answer(raw: bytes, context: Context) -> Any:
        return await method(await _read(raw, from_bytes, context), context)

    return answer


def _talking(method: Callable[..., AsyncIterator[Any]], from_bytes: Callable[[bytes], Message]) -> Callable[..., Any]:
    async def talk(requests: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        async def read() -> AsyncIterator[Message]:
            async for raw in requests:
                yield await _read(raw, from_bytes, context)

        async for reply in method(read(), context):
            yield reply

    return talk


async def _read(raw: bytes, from_bytes: Callable[[bytes], Message], context: Context) -> Message:
    try:
        return from_bytes(raw)
    except DecodeError:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The request cannot be read.")
