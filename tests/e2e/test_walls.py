"""Walls between tenants, over every RPC and every field of the contract (AZ-02, N-20, N-35)."""

from __future__ import annotations

import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from tests.e2e.contract import call, methods, name_of, path_of
from tests.e2e.fields import least
from tests.e2e.neighbours import naming, neighbours, state
from tests.running import Metadata, Refusal, Running, outcome

from identity_pb.v1 import access_pb2

NOBODYS = "00000000-0000-7000-8000-000000000001"
UNARY = [method for method in methods() if not method.server_streaming]
PUBLIC = [
    method
    for method in UNARY
    if method.GetOptions().Extensions[access_pb2.access] in (access_pb2.ACCESS_PUBLIC, access_pb2.ACCESS_CHALLENGE)
]


async def told(service: Running, method: MethodDescriptor, request: Message, metadata: Metadata) -> bytes:
    """All that a client gets for a request."""
    given = await outcome(call(service.channel, path_of(method), request.SerializeToString(), metadata))
    return repr(given.on_the_wire).encode() if isinstance(given, Refusal) else given


@pytest.mark.parametrize("who", ["owner", "member", "nobody"])
async def test_AZ_02_N_20_N_35_nothing_of_another_tenant(service: Running, who: str) -> None:
    """Whoever calls whatever with whatever another tenant has: nothing of it is told, and nothing there changes.

    What is another tenant's is as absent as what never was: wherever an id can stand, both get the same bytes.
    """
    ours, theirs = await neighbours(service, "sweeper"), await neighbours(service, "porter")
    metadata, before, known = ours.bearers.get(who, ()), state(service, theirs), set[str]()
    for method in PUBLIC if who == "nobody" else UNARY:
        # Not a sign-out, after which nobody would be let in.
        alone = [] if name_of(method) == "SessionService.SignOut" else [least(method)]
        absent = {path: await told(service, method, request, metadata) for path, request in naming(method, [NOBODYS])}
        named = naming(method, theirs.ids, theirs.words)
        for path, request in [*(("", request) for request in alone), *named]:
            given, said = await told(service, method, request, metadata), request.SerializeToString()
            assert given == absent.get(path, given), (name_of(method), path)
            leaked = [word for word in theirs.canaries if word.encode() in given and word.encode() not in said]
            assert {*leaked} <= known, (name_of(method), path)
        if name_of(method) == "InviteService.CreateInvite":
            known.update(theirs.words["email"])  # from here on these stand on our own invitations
    assert state(service, theirs) == before
