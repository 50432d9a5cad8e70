"""A tenant with one of everything, its state, and requests that name what it has (AZ-02, AZ-03)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from sqlalchemy import select
from tests.e2e.fields import Path, fields_of, least, make_room
from tests.residents import Resident, app_of, invitation, resident
from tests.running import OTHER_PASSWORD, Metadata, Running, bearer, new_email

from identity.domain.policy import Role
from identity.store import tables
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import session_service_pb2 as sessions

_TEXT, _ENUM, _BOOL = FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_ENUM, FieldDescriptor.TYPE_BOOL
_NUMBERS = (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_UINT64)
# Rows of a tenant and of its people. Not what anybody may cause: budgets, the journal, and mails that were asked for.
_OF_TENANT = (tables.memberships, tables.roles, tables.invites)
_OF_PEOPLE = (tables.sessions, tables.factors, tables.recovery_codes, tables.push_devices, tables.challenges)


@dataclass
class Neighbours:
    """A tenant, its owner and a member, and all the ids and words by which something of theirs is known."""

    owner: Resident
    member: Resident
    bearers: dict[str, Metadata]
    ids: list[str] = field(default_factory=list)
    words: dict[str, list[str]] = field(default_factory=dict)

    @property
    def canaries(self) -> list[str]:
        """What no answer to a stranger may hold, unless the stranger has said it."""
        return [*self.ids, *(word for words in self.words.values() for word in words)]


async def neighbours(service: Running, role: str = "porter") -> Neighbours:
    """A tenant of its own, with a role, an invitation, and a member with sessions, a device and an app."""
    password_hash = service.world.passwords.hash(OTHER_PASSWORD)
    owner = resident(service, password_hash=password_hash)
    custom = Role(key=role, name=f"Name of {role}", level=10, permissions={}, built_in=False)
    service.world.database.write(lambda tx: tx.roles.put(owner.tenant.id, custom, service.clock.now))
    member = resident(service, role, owner.tenant, password_hash=password_hash)
    people, invited = {"owner": owner, "member": member}, new_email()
    invitation(service, owner, invited)
    logins = {name: await service.login(who.email, OTHER_PASSWORD) for name, who in people.items()}
    bearers = {name: bearer(session.tokens.access_token) for name, session in logins.items()}
    push = sessions.RegisterPushDeviceRequest(token=f"push of {role}", platform=sessions.PUSH_PLATFORM_WEB)
    device = await service.sessions.RegisterPushDevice(push, metadata=bearers["member"])
    app_of(service, member.account)
    listed = await service.factors.ListFactors(factors.ListFactorsRequest(), metadata=bearers["member"])
    waiting = await service.invites.ListInvites(invites.ListInvitesRequest(), metadata=bearers["owner"])
    ids = [
        str(member.account.id),
        str(owner.tenant.id),
        logins["member"].session.id,
        device.push_device.id,
        listed.factors[0].id,
        waiting.invites[0].id,
    ]
    words = {
        "email": [who.email for who in people.values()],
        "identifier": [who.email for who in people.values()],
        "slug": [owner.tenant.slug],
        "role": [role],
        "key": [role],
        "query": [who.account.name for who in people.values()],
        "name": [owner.tenant.name],
    }
    return Neighbours(owner, member, bearers, ids, words)


def state(service: Running, of: Neighbours) -> dict[str, Sequence[Any]]:
    """Every row of the tenant and of its people."""
    people = [who.account.id for who in (of.owner, of.member)]
    found = {
        "accounts": select(tables.accounts).where(tables.accounts.c.id.in_(people)),
        "tenants": select(tables.tenants).where(tables.tenants.c.id == of.owner.tenant.id),
        **{table.name: select(table).where(table.c.tenant_id == of.owner.tenant.id) for table in _OF_TENANT},
        **{table.name: select(table).where(table.c.account_id.in_(people)) for table in _OF_PEOPLE},
    }
    return {name: sorted(map(tuple, service.rows(query)), key=repr) for name, query in found.items()}


def naming(
    method: MethodDescriptor, ids: Sequence[str], words: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> Iterator[tuple[str, Message]]:
    """Requests of an RPC that name one thing each, in every field that could; with the path of that field."""
    for path in fields_of(method.input_type, _TEXT):
        for value in values_of(path, ids, words):
            request = least(method)
            make_room(method, request, path)
            path.set(request, value)
            yield str(path), request


def values_of(path: Path, ids: Sequence[str], words: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """What could stand in a text field: ids where the contract asks for one, else words by the field's name."""
    if path.rules.string.uuid:
        return ids
    name = path.names[-1].partition("[")[0]
    return next((values for part, values in words.items() if name.endswith(part)), ())


def filled(message: type[Message], values: Mapping[str, Sequence[Any]], turn: int) -> Message:
    """A request with every field set, to what `values` has for its name or what its type allows; each turn another."""
    request = message()
    for each in request.DESCRIPTOR.fields:
        one_of, kind, target = each.containing_oneof, each.message_type, getattr(request, each.name)
        if one_of is not None and one_of.fields[turn % len(one_of.fields)] is not each:
            continue
        if kind is None:
            named = (found for part, found in values.items() if each.name.endswith(part))
            candidates = next(named, _TYPICAL.get(each.cpp_type, ()))
            value = candidates[turn % len(candidates)]
            if each.is_repeated:
                target.append(value)
            else:
                setattr(request, each.name, value)
        elif kind.full_name == FieldMask.DESCRIPTOR.full_name:
            changes: Any = request
            target.paths.extend(field.name for field in changes.changes.DESCRIPTOR.fields)
        elif kind.file.package == "identity.v1" and not kind.GetOptions().map_entry:
            inside = target.add() if each.is_repeated else target
            inside.CopyFrom(filled(type(inside), values, turn))
    return request


_TYPICAL: dict[int, Sequence[Any]] = {
    FieldDescriptor.CPPTYPE_STRING: ("x",),
    FieldDescriptor.CPPTYPE_BOOL: (True, False),
    FieldDescriptor.CPPTYPE_UINT32: (1, 100, 0),
    FieldDescriptor.CPPTYPE_ENUM: (1, 2, 3),
}
