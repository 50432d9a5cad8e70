"""The RPCs of the contract as the descriptors tell of them, called by their bytes."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from tests.running import Metadata

import identity_pb.v1


def methods() -> list[MethodDescriptor]:
    """Every RPC of every service, in the order of the contract."""
    names = sorted(module.name for module in pkgutil.iter_modules(identity_pb.v1.__path__))
    modules = [importlib.import_module(f"identity_pb.v1.{name}") for name in names if name.endswith("_service_pb2")]
    services = [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]
    return [method for service in services for method in service.methods]


def name_of(method: MethodDescriptor) -> str:
    """Service and RPC, as people write them."""
    return f"{method.containing_service.name}.{method.name}"


async def call(
    channel: grpc.aio.Channel, path: str, request: bytes, metadata: Metadata = (), *, stream: bool = False
) -> bytes:
    """The raw answer to raw bytes; of a stream, the first one."""
    unary: Any = channel.unary_unary(path)
    streaming: Any = channel.unary_stream(path)
    answer: bytes = await (
        streaming(request, metadata=metadata).read() if stream else unary(request, metadata=metadata)
    )
    return answer


def path_of(method: MethodDescriptor) -> str:
    """The path of an RPC on the wire."""
    return f"/{method.containing_service.full_name}/{method.name}"
