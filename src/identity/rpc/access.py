"""Who may call what: the method options of the contract, read once at boot (AZ-01)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import Default

from identity_pb.v1.access_pb2 import (
    ACCESS_ADMIN,
    ACCESS_CALLER,
    ACCESS_SERVICE,
    ACCESS_UNSPECIFIED,
    Access,
    access,
    permission,
    scope,
)

# What probes and tooling speak. Their protocols are not ours to annotate, they tell nobody a secret, and
# they are not logged.
EXEMPT: Final = frozenset(
    {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/List",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    }
)


class AccessError(Exception):
    """The contract does not say who may call a method, or says something that cannot be enforced."""


class MethodAccess(NamedTuple):
    """Who may call one method: `method` is its path on the wire."""

    method: str
    access: Access.ValueType
    scope: str = ""
    permission: str = ""

    @property
    def needs_caller(self) -> bool:
        return self.access in (ACCESS_CALLER, ACCESS_ADMIN)

    @property
    def needs_service(self) -> bool:
        return self.access == ACCESS_SERVICE

    @property
    def needs_permission(self) -> bool:
        return self.access == ACCESS_ADMIN


class AccessPolicy:
    """The access of every method that is served. What it does not know is not served."""

    def __init__(self, methods: Iterable[MethodAccess]) -> None:
        self._methods = {method.method: method for method in methods}

    @classmethod
    def read(cls, services: Iterable[str]) -> AccessPolicy:
        """Reads the options of these services (full names, e.g. "identity.v1.AuthService").

        Raises `AccessError` if a method has no access option, streams requests (the pipeline authenticates
        one message), or lacks the scope or permission that its access asks for.
        """
        pool = Default()
        return cls(
            _read_method(service, method)
            for service in map(pool.FindServiceByName, services)
            for method in service.methods
        )

    def find(self, path: str) -> MethodAccess | None:
        return self._methods.get(path)

    def __iter__(self) -> Iterator[MethodAccess]:
        return iter(self._methods.values())


def _read_method(service: ServiceDescriptor, method: MethodDescriptor) -> MethodAccess:
    path = f"/{service.full_name}/{method.name}"
    options = method.GetOptions().Extensions
    found = MethodAccess(path, options[access], options[scope], options[permission])
    if found.access == ACCESS_UNSPECIFIED:
        raise AccessError(f"{path} has no access option, so nobody knows who may call it")
    if method.client_streaming:
        raise AccessError(f"{path} streams requests; the pipeline takes one request per call")
    if found.needs_service and not found.scope:
        raise AccessError(f"{path} is for service keys and names no scope")
    if found.needs_permission and not found.permission:
        raise AccessError(f"{path} is for administrators and names no permission")
    return found


def unimplemented(servicer: object) -> list[str]:
    """Lists the methods of the contract that a servicer still inherits from its generated base class."""
    return sorted(
        name
        for base in type(servicer).__mro__
        if _is_generated(base.__module__)
        for name, function in vars(base).items()
        if not name.startswith("_") and callable(function) and getattr(type(servicer), name) is function
    )


def is_unimplemented(handler: object) -> bool:
    """Says whether a handler's function is the generated one, which only raises."""
    return _is_generated(getattr(handler, "__module__", ""))


def _is_generated(module: str) -> bool:
    return module.endswith("_pb2_grpc") and not module.startswith("grpc_")
