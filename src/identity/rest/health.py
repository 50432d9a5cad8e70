"""`GET /healthz`: whether the service behind is ready, in one word."""

from __future__ import annotations

from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc
from starlette.responses import JSONResponse, Response

from identity.rest.exchange import Exchange
from identity.rest.refusals import Refusal
from identity.rest.routing import Endpoint
from identity.rest.upstream import Upstream


def endpoint(upstream: Upstream) -> Endpoint:
    """The endpoint that probes ask: 200 while the service serves, 503 while it does not."""
    stub: Any = health_pb2_grpc.HealthStub(upstream.channel)  # its types know synchronous channels only

    async def answer(exchange: Exchange) -> Response:
        try:
            reply = await upstream.call(stub.Check, health_pb2.HealthCheckRequest(), ())
        except Refusal:
            return JSONResponse({"status": "not_serving"}, 503)
        serving = reply.status == health_pb2.HealthCheckResponse.SERVING
        return JSONResponse({"status": "serving" if serving else "not_serving"}, 200 if serving else 503)

    return Endpoint("GET", "/healthz", answer)
