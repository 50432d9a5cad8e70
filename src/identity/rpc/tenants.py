"""TenantService: the place itself, and the roles it makes."""

from __future__ import annotations

import grpc

from identity.domain.accounts import canonical_email
from identity.domain.policy import Role
from identity.domain.ports import World
from identity.domain.tenant.get_tenant import TenantChanges, get_tenant, update_tenant
from identity.domain.tenant.roles import delete_role, list_roles, put_role
from identity.rpc import convert
from identity.rpc.caller import current_caller, current_source
from identity.rpc.convert import read
from identity_pb.v1 import tenant_service_pb2 as pb
from identity_pb.v1.tenant_service_pb2_grpc import TenantServiceServicer


class TenantService(TenantServiceServicer):
    """Each method reads its request, calls one domain function and builds the response."""

    def __init__(self, world: World) -> None:
        self._world = world

    def GetTenant(self, request: pb.GetTenantRequest, context: grpc.ServicerContext) -> pb.GetTenantResponse:
        return pb.GetTenantResponse(tenant=convert.tenant(get_tenant(self._world, current_caller())))

    def UpdateTenant(self, request: pb.UpdateTenantRequest, context: grpc.ServicerContext) -> pb.UpdateTenantResponse:
        contact = request.changes.contact
        email = read(contact, "email")
        changes = TenantChanges(
            mask=frozenset(request.update_mask.paths),
            name=read(request.changes, "name"),
            email=canonical_email(email, field="changes.contact.email") if email else None,
            phone=read(contact, "phone"),
            address=read(contact, "address"),
            opening_hours=convert.read_hours(request.changes.opening_hours),
            attributes=convert.read_attributes(request.changes.attributes),
        )
        tenant = update_tenant(self._world, current_caller(), changes, current_source())
        return pb.UpdateTenantResponse(tenant=convert.tenant(tenant))

    def ListRoles(self, request: pb.ListRolesRequest, context: grpc.ServicerContext) -> pb.ListRolesResponse:
        return pb.ListRolesResponse(roles=[convert.role(role) for role in list_roles(self._world, current_caller())])

    def PutRole(self, request: pb.PutRoleRequest, context: grpc.ServicerContext) -> pb.PutRoleResponse:
        wish = Role(
            key=request.key,
            name=request.name,
            level=request.level,
            permissions={resource: dict(actions.actions) for resource, actions in request.permissions.items()},
            requires_mfa=request.mfa_required,
            built_in=False,
        )
        role = put_role(self._world, current_caller(), wish, current_source())
        return pb.PutRoleResponse(role=convert.role(role))

    def DeleteRole(self, request: pb.DeleteRoleRequest, context: grpc.ServicerContext) -> pb.DeleteRoleResponse:
        delete_role(self._world, current_caller(), request.key, current_source())
        return pb.DeleteRoleResponse()
