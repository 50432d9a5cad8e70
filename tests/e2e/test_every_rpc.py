"""Every RPC of the contract, and nothing that only looks like one (AZ-01)."""

from __future__ import annotations

import grpc
import pytest
from tests.e2e.contract import call, methods, name_of, path_of
from tests.running import Refusal, Running, outcome, refused


async def test_every_call_of_the_contract_is_answered(service: Running) -> None:
    """No RPC is missing, and none falls over an empty request."""
    codes: dict[str, grpc.StatusCode] = {}
    for method in methods():
        answer = await outcome(call(service.channel, path_of(method), b"", stream=method.server_streaming))
        codes[name_of(method)] = answer.code if isinstance(answer, Refusal) else grpc.StatusCode.OK
    bad = {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}
    assert {name: code for name, code in codes.items() if code in bad} == {}


@pytest.mark.parametrize(
    "path",
    [
        *("/identity.v1.AuthService/login", "/identity.v1.authservice/Login", "/identity.v1.AuthService/Login/"),
        *("//identity.v1.AuthService/Login", "/identity.v2.AuthService/Login", "/identity.v1.AuthService/Loginx"),
        *("/grpc.channelz.v1.Channelz/GetServers", "/identity.v1.AuthService/__init__"),
    ],
)
async def test_AZ_01_another_spelling_is_another_call(service: Running, path: str) -> None:
    """What the contract does not name is unimplemented, however close it comes."""
    assert (await refused(call(service.channel, path, b""))).code is grpc.StatusCode.UNIMPLEMENTED
