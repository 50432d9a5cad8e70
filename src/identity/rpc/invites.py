"""InviteService: bringing people in."""

from __future__ import annotations

from uuid import UUID

import grpc

from identity.domain.accounts import canonical_email
from identity.domain.invite.answer import Acceptance, accept_invite, decline_invite, validate_invite
from identity.domain.invite.manage import (
    Invitation,
    Invited,
    create_invite,
    get_invite,
    list_invites,
    resend_invite,
    revoke_invite,
)
from identity.domain.invites import InviteStatus
from identity.domain.paging import PageRequest
from identity.domain.ports import World
from identity.rpc import convert
from identity.rpc.caller import current_caller, current_source, optional_caller
from identity.rpc.convert import read
from identity.rpc.work import hashes
from identity_pb.v1 import invite_service_pb2 as pb
from identity_pb.v1.invite_service_pb2_grpc import InviteServiceServicer

_STATUS = {status: pb.InviteStatus.Value(f"INVITE_STATUS_{status.name}") for status in InviteStatus}
_FROM_STATUS = {value: status for status, value in _STATUS.items()}


class InviteService(InviteServiceServicer):
    """Each method reads its request, calls one domain function and builds the response."""

    def __init__(self, world: World) -> None:
        self._world = world

    def CreateInvite(self, request: pb.CreateInviteRequest, context: grpc.ServicerContext) -> pb.CreateInviteResponse:
        wish = Invitation(
            email=canonical_email(request.email),
            role=request.role,
            department_id=read(request, "department_id"),
            team_ids=tuple(request.team_ids),
            locale=read(request, "locale"),
        )
        invited = create_invite(self._world, current_caller(), wish, current_source())
        return pb.CreateInviteResponse(invite=_invite(invited))

    def ListInvites(self, request: pb.ListInvitesRequest, context: grpc.ServicerContext) -> pb.ListInvitesResponse:
        page = list_invites(
            self._world,
            current_caller(),
            status=_FROM_STATUS.get(request.status),
            email=canonical_email(request.email) if request.HasField("email") else None,
            page=PageRequest(request.page_size, request.page_token),
        )
        return pb.ListInvitesResponse(invites=[_invite(row) for row in page.rows], next_page_token=page.next_token)

    def GetInvite(self, request: pb.GetInviteRequest, context: grpc.ServicerContext) -> pb.GetInviteResponse:
        return pb.GetInviteResponse(invite=_invite(get_invite(self._world, current_caller(), UUID(request.id))))

    def ResendInvite(self, request: pb.ResendInviteRequest, context: grpc.ServicerContext) -> pb.ResendInviteResponse:
        invited = resend_invite(
            self._world, current_caller(), UUID(request.id), read(request, "locale"), current_source()
        )
        return pb.ResendInviteResponse(invite=_invite(invited))

    def RevokeInvite(self, request: pb.RevokeInviteRequest, context: grpc.ServicerContext) -> pb.RevokeInviteResponse:
        invited = revoke_invite(self._world, current_caller(), UUID(request.id), current_source())
        return pb.RevokeInviteResponse(invite=_invite(invited))

    def ValidateInvite(
        self, request: pb.ValidateInviteRequest, context: grpc.ServicerContext
    ) -> pb.ValidateInviteResponse:
        details = validate_invite(self._world, request.token)
        return pb.ValidateInviteResponse(
            valid=True,
            email=details.invite.email,
            tenant_name=details.tenant.name,
            tenant_slug=details.tenant.slug,
            invited_by=details.invite.invited_by,
            role_name=details.role.name if details.role else details.invite.role,
            sign_in_required=details.sign_in_required,
            expires_at=convert.timestamp(details.invite.expires_at),
        )

    @hashes
    def AcceptInvite(self, request: pb.AcceptInviteRequest, context: grpc.ServicerContext) -> pb.AcceptInviteResponse:
        wish = Acceptance(
            token=request.token,
            caller=optional_caller(),
            password=read(request, "password"),
            name=convert.read_name(request),
            locale=read(request, "locale"),
            client=convert.read_client(request, current_source()),
        )
        return pb.AcceptInviteResponse(**convert.login_result(accept_invite(self._world, wish)))

    def DeclineInvite(
        self, request: pb.DeclineInviteRequest, context: grpc.ServicerContext
    ) -> pb.DeclineInviteResponse:
        decline_invite(self._world, request.token, current_source())
        return pb.DeclineInviteResponse()


def _invite(value: Invited) -> pb.Invite:
    invite = value.invite
    return pb.Invite(
        id=str(invite.id),
        tenant_id=str(invite.tenant_id),
        email=invite.email,
        role=invite.role,
        role_name=value.role.name if value.role else invite.role,
        department_id=invite.department_id,
        team_ids=invite.team_ids,
        invited_by_id=str(invite.invited_by_id) if invite.invited_by_id else None,
        invited_by=invite.invited_by,
        status=_STATUS[invite.status_at(value.at)],
        created_at=convert.timestamp(invite.created_at),
        sent_at=convert.timestamp(invite.sent_at),
        expires_at=convert.timestamp(invite.expires_at),
        answered_at=convert.timestamp(invite.answered_at),
        account_id=str(invite.account_id) if invite.account_id else None,
    )
