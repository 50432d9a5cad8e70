"""Readiness for probes and load balancers (grpc.health.v1), and reflection for tools at a developer's desk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import grpc
import grpc.aio
from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from grpc_reflection.v1alpha.reflection_pb2_grpc import add_ServerReflectionServicer_to_server

from identity.rpc.handlers import add

_WHOLE_SERVER: Final = ""
_REFLECTION: Final = "grpc.reflection.v1.ServerReflection"
_HEALTH: Final = "grpc.health.v1.Health"


class Health:
    """The health of each service and of the server as a whole; nothing is ready until `serving`."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = (_WHOLE_SERVER, *services)
        self._servicer = aio.HealthServicer()
        self.is_serving = False

    async def register(self, server: grpc.aio.Server) -> None:
        """Adds the health service to a server that has not started."""
        await self.not_serving()
        add(server, add_HealthServicer_to_server, self._servicer)

    async def serving(self) -> None:
        await self._set(HealthCheckResponse.SERVING)

    async def not_serving(self) -> None:
        """Says that calls would fail now, for example without a database; `serving` takes it back."""
        await self._set(HealthCheckResponse.NOT_SERVING)

    async def draining(self) -> None:
        """Says for good that the server ends, before it refuses anything."""
        self.is_serving = False
        await self._servicer.enter_graceful_shutdown()

    async def _set(self, status: Any) -> None:
        self.is_serving = status == HealthCheckResponse.SERVING
        for service in self._services:
            await self._servicer.set(service, status)


def enable_reflection(services: Iterable[str], server: grpc.aio.Server) -> None:
    """Lets tools list the services; off unless a setting asks for it (TR-06).

    The library speaks v1alpha only. The messages of v1 are the same on the wire, so that its servicer answers
    under that name too.
    """
    names = (*services, _HEALTH, reflection.SERVICE_NAME)
    servicer: Any = reflection.aio.ReflectionServicer(names)
    add(server, add_ServerReflectionServicer_to_server, servicer)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=ServerReflectionRequest.FromString,
        response_serializer=ServerReflectionResponse.SerializeToString,
    )
    generic = grpc.method_handlers_generic_handler(_REFLECTION, {"ServerReflectionInfo": handler})
    server.add_generic_rpc_handlers((generic,))
