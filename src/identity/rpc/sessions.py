"""SessionService: staying and leaving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from uuid import UUID

import grpc

from identity.domain.paging import PageRequest
from identity.domain.ports import World
from identity.domain.push_devices import Platform, PushDevice
from identity.domain.session.get_session import get_session
from identity.domain.session.introspect import introspect
from identity.domain.session.list_sessions import list_sessions, revoke_session, revoke_sessions
from identity.domain.session.push_devices import list_push_devices, register_push_device, remove_push_device
from identity.domain.session.recent import Recent
from identity.domain.session.refresh import finish, rotation
from identity.domain.session.sign_out import sign_out
from identity.domain.session.switch_tenant import switch_tenant
from identity.rpc import convert
from identity.rpc.caller import current_caller, current_source, proven_caller
from identity.rpc.convert import read
from identity.rpc.revocations import watch
from identity.rpc.work import known_by
from identity_pb.v1 import session_service_pb2 as pb
from identity_pb.v1.session_service_pb2_grpc import SessionServiceServicer

_PLATFORM = {pb.PushPlatform.Value(f"PUSH_PLATFORM_{platform.name}"): platform for platform in Platform}


class SessionService(SessionServiceServicer):
    """`jwks` gives the public keys whose signatures count at this moment, `recent` what was told a moment ago."""

    def __init__(
        self,
        world: World,
        jwks: Callable[[], list[Mapping[str, str]]],
        recent: Recent[pb.GetSessionResponse],
        issuer: str,
        audience: str,
    ) -> None:
        self._world = world
        self._jwks = jwks
        self._recent = recent
        self._issuer = issuer
        self._audience = audience

    async def RefreshSession(
        self, request: pb.RefreshSessionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.RefreshSessionResponse:
        # On the loop: the database has a thread of its own for this, and a second one would only add its price.
        work = rotation(
            self._world,
            request.refresh_token,
            current_source(),
            fingerprint=request.device.fingerprint,
            with_account=request.include_account,
            account_id=UUID(request.account_id) if request.HasField("account_id") else None,
        )
        outcome = await asyncio.wrap_future(self._world.database.submit_write(work))
        rotated, tokens = finish(self._world, outcome)
        place = rotated.place
        return pb.RefreshSessionResponse(
            tokens=convert.tokens(tokens),
            reused=rotated.repeated,
            session_id=str(rotated.session.id),
            account=convert.account(place.account, to_itself=True) if place else None,
            tenant=convert.tenant(place.tenant) if place else None,
            membership=convert.membership(place.membership, place.account, place.role) if place else None,
        )

    def SignOut(self, request: pb.SignOutRequest, context: grpc.ServicerContext) -> pb.SignOutResponse:
        sign_out(
            self._world,
            proven_caller(),
            read(request, "refresh_token"),
            read(request, "push_token"),
            current_source(),
        )
        return pb.SignOutResponse()

    def _recall(self, request: pb.GetSessionRequest) -> pb.GetSessionResponse | None:
        caller = current_caller()
        return self._recent.recall(caller.account_id, caller.session_id, self._world.clock())

    @known_by(_recall)
    def GetSession(self, request: pb.GetSessionRequest, context: grpc.ServicerContext) -> pb.GetSessionResponse:
        caller = current_caller()
        page = self._recent.open(caller.account_id)
        place = get_session(self._world, caller)
        session = place.session
        response = pb.GetSessionResponse(**convert.place(place), expires_at=convert.timestamp(session.expires_at))
        page.note(session.id, response, min(session.idle_expires_at, session.expires_at))
        return response

    def ListSessions(self, request: pb.ListSessionsRequest, context: grpc.ServicerContext) -> pb.ListSessionsResponse:
        caller = current_caller()
        page = list_sessions(
            self._world,
            caller,
            UUID(request.account_id) if request.HasField("account_id") else None,
            PageRequest(request.page_size, request.page_token),
        )
        rows = [convert.session(row, current=row.id == caller.session_id) for row in page.rows]
        return pb.ListSessionsResponse(sessions=rows, next_page_token=page.next_token)

    def RevokeSession(
        self, request: pb.RevokeSessionRequest, context: grpc.ServicerContext
    ) -> pb.RevokeSessionResponse:
        revoke_session(self._world, current_caller(), UUID(request.id), current_source())
        return pb.RevokeSessionResponse()

    def RevokeSessions(
        self, request: pb.RevokeSessionsRequest, context: grpc.ServicerContext
    ) -> pb.RevokeSessionsResponse:
        ended = revoke_sessions(
            self._world,
            current_caller(),
            UUID(request.account_id) if request.HasField("account_id") else None,
            keep_current=request.selection == pb.SESSION_SELECTION_OTHERS,
            source=current_source(),
        )
        return pb.RevokeSessionsResponse(sessions_ended=ended)

    def SwitchTenant(self, request: pb.SwitchTenantRequest, context: grpc.ServicerContext) -> pb.SwitchTenantResponse:
        by_id = request.WhichOneof("tenant") == "tenant_id"
        signed_in = switch_tenant(
            self._world,
            current_caller(),
            tenant_id=UUID(request.tenant_id) if by_id else None,
            tenant_slug=None if by_id else request.tenant_slug,
            source=current_source(),
        )
        return pb.SwitchTenantResponse(session=convert.session_result(signed_in))

    def GetJwks(self, request: pb.GetJwksRequest, context: grpc.ServicerContext) -> pb.GetJwksResponse:
        return pb.GetJwksResponse(keys=[pb.JsonWebKey(**key) for key in self._jwks()])

    def RegisterPushDevice(
        self, request: pb.RegisterPushDeviceRequest, context: grpc.ServicerContext
    ) -> pb.RegisterPushDeviceResponse:
        device = register_push_device(
            self._world, current_caller(), request.token, _PLATFORM[request.platform], current_source()
        )
        return pb.RegisterPushDeviceResponse(push_device=_push_device(device))

    def RemovePushDevice(
        self, request: pb.RemovePushDeviceRequest, context: grpc.ServicerContext
    ) -> pb.RemovePushDeviceResponse:
        device_id = UUID(request.id) if request.HasField("id") else None
        remove_push_device(self._world, current_caller(), device_id=device_id, token=read(request, "token"))
        return pb.RemovePushDeviceResponse()

    def ListPushDevices(
        self, request: pb.ListPushDevicesRequest, context: grpc.ServicerContext
    ) -> pb.ListPushDevicesResponse:
        devices = list_push_devices(self._world, current_caller())
        return pb.ListPushDevicesResponse(push_devices=[_push_device(device) for device in devices])

    def IntrospectToken(
        self, request: pb.IntrospectTokenRequest, context: grpc.ServicerContext
    ) -> pb.IntrospectTokenResponse:
        claims = introspect(self._world, request.token)
        if claims is None:
            return pb.IntrospectTokenResponse(active=False)
        return pb.IntrospectTokenResponse(
            active=True,
            token_type="Bearer",
            account_id=str(claims.account_id),
            session_id=str(claims.session_id),
            tenant_id=str(claims.tenant_id) if claims.tenant_id else None,
            role=claims.role,
            level=claims.level if claims.role else None,
            amr=claims.amr,
            restricted=claims.scope is not None,
            authenticated_at=convert.timestamp(claims.authenticated_at),
            issued_at=convert.timestamp(claims.issued_at),
            expires_at=convert.timestamp(claims.expires_at),
            issuer=self._issuer,
            audience=self._audience,
            token_id=claims.jti,
        )

    def WatchRevocations(
        self, request: pb.WatchRevocationsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.WatchRevocationsResponse]:
        return watch(self._world, read(request, "cursor"))


def _push_device(device: PushDevice) -> pb.PushDevice:
    return pb.PushDevice(
        id=str(device.id),
        platform=pb.PushPlatform.Value(f"PUSH_PLATFORM_{device.platform.name}"),
        session_id=str(device.session_id),
        created_at=convert.timestamp(device.created_at),
    )
