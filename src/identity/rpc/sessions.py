"""SessionService: staying and leaving."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import grpc

from identity.domain.ports import World
from identity.domain.session.get_session import get_session
from identity.domain.session.refresh import finish, rotation
from identity.domain.session.sign_out import sign_out
from identity.rpc import convert
from identity.rpc.caller import current_caller, current_source, proven_caller
from identity_pb.v1 import session_service_pb2 as pb
from identity_pb.v1.session_service_pb2_grpc import SessionServiceServicer


class SessionService(SessionServiceServicer):
    """`jwks` gives the public keys whose signatures count at this moment."""

    def __init__(self, world: World, jwks: Callable[[], list[Mapping[str, str]]]) -> None:
        self._world = world
        self._jwks = jwks

    async def RefreshSession(
        self, request: pb.RefreshSessionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.RefreshSessionResponse:
        # On the loop: the database has a thread of its own for this, and a second one would only add its price.
        work = rotation(self._world, request.refresh_token, current_source(), with_account=request.include_account)
        outcome = await asyncio.wrap_future(self._world.database.submit_write(work))
        rotated, tokens = finish(self._world, outcome)
        policy, place = self._world.policy, rotated.place
        return pb.RefreshSessionResponse(
            tokens=convert.tokens(tokens),
            reused=rotated.repeated,
            session_id=str(rotated.session.id),
            account=convert.account(place.account) if place else None,
            tenant=convert.tenant(place.tenant) if place else None,
            membership=convert.membership(place.membership, place.account, policy) if place else None,
        )

    def SignOut(self, request: pb.SignOutRequest, context: grpc.ServicerContext) -> pb.SignOutResponse:
        sign_out(self._world, proven_caller(), convert.read(request, "refresh_token"), current_source())
        return pb.SignOutResponse()

    def GetSession(self, request: pb.GetSessionRequest, context: grpc.ServicerContext) -> pb.GetSessionResponse:
        place = get_session(self._world, current_caller())
        return pb.GetSessionResponse(
            **convert.place(place, self._world.policy),
            expires_at=convert.timestamp(place.session.expires_at),
        )

    def GetJwks(self, request: pb.GetJwksRequest, context: grpc.ServicerContext) -> pb.GetJwksResponse:
        return pb.GetJwksResponse(keys=[pb.JsonWebKey(**key) for key in self._jwks()])
