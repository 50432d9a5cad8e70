"""SessionService: staying and leaving."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc

from identity.domain.callers import Caller
from identity.domain.ports import World
from identity.domain.session.get_session import get_session
from identity.domain.session.recent import Recent
from identity.domain.session.refresh import finish, rotation
from identity.domain.session.sign_out import sign_out
from identity.rpc import convert
from identity.rpc.caller import current_caller, current_source, proven_caller
from identity_pb.v1 import session_service_pb2 as pb
from identity_pb.v1.session_service_pb2_grpc import SessionServiceServicer

READERS: Final = 4
"""Threads that read sessions. How many calls may wait for one is bounded by what the pipeline admits."""


class SessionService(SessionServiceServicer):
    """`jwks` gives the public keys whose signatures count at this moment, `recent` what was told a moment ago."""

    def __init__(
        self, world: World, jwks: Callable[[], list[Mapping[str, str]]], recent: Recent[pb.GetSessionResponse]
    ) -> None:
        self._world = world
        self._jwks = jwks
        self._recent = recent
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="sessions")

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

    async def GetSession(
        self, request: pb.GetSessionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetSessionResponse:
        # What is remembered is told from the loop; the database is asked in a thread, since a disk may be slow.
        caller = current_caller()
        known = self._recent.recall(caller.account_id, caller.session_id, self._world.clock())
        if known is not None:
            return known
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, caller)

    def _read(self, caller: Caller) -> pb.GetSessionResponse:
        page = self._recent.open(caller.account_id)
        place = get_session(self._world, caller)
        session = place.session
        response = pb.GetSessionResponse(
            **convert.place(place, self._world.policy), expires_at=convert.timestamp(session.expires_at)
        )
        page.note(session.id, response, min(session.idle_expires_at, session.expires_at))
        return response

    def GetJwks(self, request: pb.GetJwksRequest, context: grpc.ServicerContext) -> pb.GetJwksResponse:
        return pb.GetJwksResponse(keys=[pb.JsonWebKey(**key) for key in self._jwks()])
