"""The HTTP bindings of the contract: the `google.api.http` option of every method, read once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.api import annotations_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from identity_pb.v1 import (
    account_service_pb2,
    auth_service_pb2,
    factor_service_pb2,
    invite_service_pb2,
    session_service_pb2,
    tenant_service_pb2,
)

FILES = (
    auth_service_pb2,
    session_service_pb2,
    invite_service_pb2,
    factor_service_pb2,
    account_service_pb2,
    tenant_service_pb2,
)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Binding:
    """One way to call one method over HTTP. `query` are the fields that may come as parameters of the query."""

    method: MethodDescriptor
    verb: str
    path: str
    has_body: bool
    query: dict[str, FieldDescriptor]

    @property
    def rpc(self) -> str:
        """The path of the RPC on the wire."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"


def bindings() -> Iterator[Binding]:
    """Every binding of every method, in the order of the contract."""
    for file in FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                rule: Any = method.GetOptions().Extensions[annotations_pb2.http]
                for each in (rule, *rule.additional_bindings):
                    yield _binding(method, each)


def _binding(method: MethodDescriptor, rule: Any) -> Binding:
    verb = rule.WhichOneof("pattern")
    path = getattr(rule, verb)
    in_path = set(_PLACEHOLDER.findall(path))
    query = {
        field.json_name: field
        for field in method.input_type.fields
        if not rule.body and field.name not in in_path and _may_be_in_a_query(field, verb)
    }
    return Binding(method, verb.upper(), path, bool(rule.body), query)


def _may_be_in_a_query(field: FieldDescriptor, verb: str) -> bool:
    """Scalars; and secrets only where asking uses nothing up: queries end in logs and histories (TR-07)."""
    return field.message_type is None and (verb == "get" or not field.GetOptions().debug_redact)
