"""P-01 for what is not of the contract: health checks and reflection answer malformed bytes as carefully (TR-05)."""

from __future__ import annotations

from random import Random
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from tests.property.hostile import Forge
from tests.running import Running

from identity.rpc.access import EXEMPT

HEALTH = health_pb2.HealthCheckRequest(service="identity.v1.AuthService")
REFLECTION = reflection_pb2.ServerReflectionRequest(file_containing_symbol="identity.v1.AuthService")
MALFORMED = (b"\xff", b"\x0a\x05ab", b"\x1a\x02\xff\xfe", b"\x0b" * 200)
ALLOWED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNIMPLEMENTED,
}


@pytest.mark.parametrize("fresh_database", ["sqlite"], indirect=True)  # they ask no database
@pytest.mark.parametrize("path", sorted(EXEMPT))
async def test_P_01_hostile_bytes_at_health_and_reflection(service: Running, path: str) -> None:
    forge = Forge(Random(path))
    example = REFLECTION if "reflection" in path else HEALTH
    descriptor: Any = example.DESCRIPTOR
    valid = example.SerializeToString()
    made = [forge.structured(descriptor) for _ in range(40)] + [forge.raw() for _ in range(20)]
    made += [forge.mutated(valid, [valid], descriptor) for _ in range(40)]
    for payload in (valid, *MALFORMED, *made):
        code, said = await _send(service.channel, path, payload)
        assert code in ALLOWED, (payload, said)
        assert "class" not in said and "Error" not in said, (payload, said)


async def _send(channel: grpc.aio.Channel, path: str, payload: bytes) -> tuple[grpc.StatusCode, str]:
    """The code of the first answer, or of the refusal, and what that says."""
    start: Any = {"Check": channel.unary_unary, "List": channel.unary_unary, "Watch": channel.unary_stream}.get(
        path.rpartition("/")[2], channel.stream_stream
    )
    try:
        call = start(path)(iter([payload]) if start == channel.stream_stream else payload, timeout=3)
        reply = await (call if start == channel.unary_unary else call.read())
    except grpc.aio.AioRpcError as error:
        return error.code(), str(error.details())
    if reply is grpc.aio.EOF:
        return await call.code(), str(await call.details())
    call.cancel()
    if "reflection" in path:
        reflection_pb2.ServerReflectionResponse.FromString(reply)
    return grpc.StatusCode.OK, ""
