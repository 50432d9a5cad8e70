"""Nobody calls what the contract does not let them call (AZ-01, N-49)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from tests.rpc.toy import (
    KEY,
    METHODS,
    PERMISSION,
    RESTRICTED_TOKEN,
    SCOPE,
    SERVICE,
    TOKEN,
    Toy,
    ToyReply,
    ToyRequest,
    authenticate_service,
    bearer,
    failure,
    serving,
)

from identity.domain.callers import Caller
from identity.domain.errors import PermissionDenied
from identity.rpc.access import AccessError, AccessPolicy, unimplemented
from identity.rpc.caller import current_caller, optional_caller, optional_service
from identity_pb.v1 import access_pb2, auth_service_pb2, auth_service_pb2_grpc, session_service_pb2

OPEN = {"Echo", "Run", "Hash", "Ask", "Prove"}
GUARDED = sorted(set(METHODS) - OPEN - {"Unmade", "Watch"})


def remember(calls: list[object]) -> Callable[[object], Any]:
    def do(request: object) -> Any:
        calls.append(request)
        return ToyReply()

    return do


def made(name: str, client_streaming: bool = False, **options: Any) -> str:
    """Adds a service with one method to the pool; gives its name."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="toy.v1", syntax="proto3")
    file.dependency.append("toy.proto")
    service = file.service.add(name=name)
    method = service.method.add(
        name="Do",
        input_type=".toy.v1.ToyRequest",
        output_type=".toy.v1.ToyReply",
        client_streaming=client_streaming,
    )
    for option, value in options.items():
        method.options.Extensions[getattr(access_pb2, option)] = value
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    return f"toy.v1.{name}"


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("Silent", {}, "no access option"),
        ("Unspecified", {"access": access_pb2.ACCESS_UNSPECIFIED}, "no access option"),
        ("Scopeless", {"access": access_pb2.ACCESS_SERVICE}, "names no scope"),
        ("Permissionless", {"access": access_pb2.ACCESS_ADMIN}, "names no permission"),
        ("Talkative", {"access": access_pb2.ACCESS_PUBLIC, "client_streaming": True}, "streams requests"),
    ],
)
def test_a_method_that_cannot_be_guarded_stops_the_boot_AZ_01(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(AccessError, match=said):
        AccessPolicy.read([made(name, **options)])


def test_an_unknown_service_stops_the_boot() -> None:
    with pytest.raises(KeyError):
        AccessPolicy.read(["toy.v1.Nowhere"])


def test_the_whole_contract_can_be_guarded_AZ_01() -> None:
    services = [
        service.full_name
        for file in (auth_service_pb2, session_service_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
    ]
    assert len([*AccessPolicy.read(services)]) > 20


@pytest.mark.parametrize("method", GUARDED)
@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", ""),),
        (("authorization", TOKEN),),
        (("authorization", f"Basic {TOKEN}"),),
        (("authorization", f"bearer {TOKEN}"),),
        (("authorization", f"Bearer{TOKEN}"),),
        (*bearer(TOKEN), *bearer(TOKEN)),
        (*bearer(KEY), *bearer(TOKEN)),
        (("cookie", f"token={TOKEN}"),),
        (("x-user-id", "1"),),
        (("authorization-bin", b"Bearer good"),),
    ],
    ids=str,
)
async def test_without_a_bearer_there_is_no_call_AZ_01(method: str, metadata: Any) -> None:
    calls: list[object] = []
    async with serving(Toy(do=remember(calls))) as served:
        seen = await failure(served.call(method, metadata=metadata))
        assert (seen.code, seen.reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
        assert calls == []


async def test_without_a_bearer_there_is_no_stream_AZ_01() -> None:
    async with serving() as served:
        assert (await failure(served.stream().read())).reason == "UNAUTHENTICATED"


async def test_a_caller_is_who_the_token_says() -> None:
    async with serving(Toy(do=lambda request: ToyReply(text=str(current_caller().role)))) as served:
        assert (await served.call("Mine", metadata=bearer(TOKEN))).text == "owner"
        assert (await failure(served.call("Mine", metadata=bearer("wrong")))).reason == "TOKEN_INVALID"
        assert (await failure(served.call("Mine", metadata=bearer("")))).reason == "TOKEN_INVALID"


@pytest.mark.parametrize("method", ["Manage", "ManageAsync"])
async def test_an_administrator_is_denied_until_somebody_knows_permissions(method: str) -> None:
    async with serving() as served:
        seen = await failure(served.call(method, metadata=bearer(TOKEN)))
        assert (seen.code, seen.metadata) == (grpc.StatusCode.PERMISSION_DENIED, {"permission": PERMISSION})


@pytest.mark.parametrize("method", ["Manage", "ManageAsync"])
@pytest.mark.parametrize("granted", [True, False])
async def test_an_administrator_needs_the_permission_of_the_method(method: str, granted: bool) -> None:
    asked: list[str] = []

    def authorize(caller: Caller, permission: str) -> None:
        asked.append(permission)
        if not granted:
            raise PermissionDenied()

    async with serving(authorize=authorize) as served:
        call = served.call(method, ToyRequest(text="done"), metadata=bearer(TOKEN))
        assert ("done" if granted else "PERMISSION_DENIED") == (
            (await call).text if granted else (await failure(call)).reason
        )
        await served.call("Mine", metadata=bearer(TOKEN))
        assert asked == [PERMISSION]


async def test_a_service_key_needs_the_scope_of_the_method() -> None:
    asked: list[str] = []

    def check(token: str, scope: str) -> str:
        asked.append(scope)
        return authenticate_service(token, scope)

    toy = Toy(do=lambda request: ToyReply(text=optional_service() or ""))
    async with serving(toy, authenticate_service=check) as served:
        assert (await served.call("Serve", metadata=bearer(KEY))).text == "toy-backend"
        assert (await failure(served.call("Serve", metadata=bearer(TOKEN)))).reason == "UNAUTHENTICATED"
        assert asked == [SCOPE, SCOPE]


async def test_without_a_way_to_prove_service_keys_there_are_none() -> None:
    async with serving(authenticate_service=None) as served:
        assert (await failure(served.call("Serve", metadata=bearer(KEY)))).reason == "UNAUTHENTICATED"


@pytest.mark.parametrize("method", ["Echo", "Run", "Prove"])
async def test_a_bad_bearer_breaks_nothing_where_nobody_asks(method: str) -> None:
    async with serving() as served:
        for metadata in (bearer("wrong"), (*bearer("a"), *bearer("b")), (("authorization", "nonsense"),)):
            assert (await served.call(method, ToyRequest(text="x"), metadata=metadata)).text == "x"


@pytest.mark.parametrize("method", ["Echo", "Run"])
async def test_a_method_for_everybody_may_ask_who_calls(method: str) -> None:
    def who(_: object) -> Any:
        caller = optional_caller()
        return ToyReply(text=caller.role if caller else "nobody")

    async with serving(Toy(do=who)) as served:
        assert (await served.call(method)).text == "nobody"
        assert (await served.call(method, metadata=bearer(TOKEN))).text == "owner"
        assert str(served.lines[-1].account).endswith("01")
        assert (await failure(served.call(method, metadata=bearer("wrong")))).reason == "TOKEN_INVALID"
        twice = (*bearer(TOKEN), *bearer(TOKEN))
        assert (await failure(served.call(method, metadata=twice))).reason == "UNAUTHENTICATED"
        restricted = await failure(served.call(method, metadata=bearer(RESTRICTED_TOKEN)))
        assert restricted.reason == "PASSWORD_CHANGE_REQUIRED"


async def test_a_method_for_everybody_may_ask_which_service_calls() -> None:
    async with serving(Toy(do=lambda request: ToyReply(text=optional_service() or "nobody"))) as served:
        assert (await served.call("Ask")).text == "nobody"
        assert (await served.call("Ask", metadata=bearer(KEY))).text == "toy-backend"
        assert (await failure(served.call("Ask", metadata=bearer(TOKEN)))).reason == "UNAUTHENTICATED"
        # Without a scope in the contract no key can ask for more.
        assert (await failure(served.call("Echo", metadata=bearer(KEY)))).reason == "UNAUTHENTICATED"


async def test_a_restricted_session_calls_what_is_listed_and_nothing_else_PW_07() -> None:
    async with serving(restricted=frozenset({f"/{SERVICE}/Mine"}), authorize=lambda *_: None) as served:
        await served.call("Mine", metadata=bearer(RESTRICTED_TOKEN))
        for method in ("Manage", "ManageAsync"):
            seen = await failure(served.call(method, metadata=bearer(RESTRICTED_TOKEN)))
            assert (seen.code, seen.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PASSWORD_CHANGE_REQUIRED")
        seen = await failure(served.stream(metadata=bearer(RESTRICTED_TOKEN)).read())
        assert seen.reason == "PASSWORD_CHANGE_REQUIRED"


# Paths.


@pytest.mark.parametrize(
    "path",
    [
        f"{SERVICE}/Mine",
        f"//{SERVICE}/Mine",
        f"/{SERVICE}//Mine",
        f"/{SERVICE}/Mine/",
        f"/{SERVICE}/mine",
        f"/{SERVICE}/MINE",
        f"/{SERVICE.upper()}/Mine",
        f"/{SERVICE}/Mine?",
        f"/{SERVICE}/Mine%00",
        f"/{SERVICE}/%4dine",
        f"/{SERVICE}/./Mine",
        f"/{SERVICE}/x/../Mine",
        f"/{SERVICE}/",
        f"/{SERVICE}/Other",
        "/toy.v1.Other/Mine",
        "/",
        "*",
    ],
)
async def test_another_path_is_another_method_AZ_01(path: str) -> None:
    calls: list[object] = []
    async with serving(Toy(do=remember(calls))) as served:
        for metadata in ((), bearer(TOKEN)):
            seen = await failure(served.call(path, metadata=metadata))
            assert seen.code == grpc.StatusCode.UNIMPLEMENTED
        assert (calls, served.lines) == ([], [])


async def test_unknown_paths_are_not_remembered_LO_02() -> None:
    async with serving() as served:
        await served.call("Echo")
        for number in range(50):
            await failure(served.call(f"/{SERVICE}/M{number}"))
        assert {f"/{SERVICE}/Echo"} == set(served.pipeline._wrapped)


async def test_a_method_without_a_policy_is_not_served_AZ_01() -> None:
    async with serving(policy=AccessPolicy([])) as served:
        assert (await failure(served.call("Echo"))).code == grpc.StatusCode.UNIMPLEMENTED
        assert (await failure(served.call("Echo"))).code == grpc.StatusCode.UNIMPLEMENTED


# Methods that nobody has written yet.


async def test_an_unwritten_method_is_UNIMPLEMENTED_with_and_without_a_bearer() -> None:
    asked: list[str] = []

    def authenticate(token: str) -> Caller:
        asked.append(token)
        raise AssertionError("nobody should ask")

    async with serving(authenticate=authenticate) as served:
        for metadata in ((), bearer(TOKEN), bearer("wrong")):
            seen = await failure(served.call("Unmade", b"\xff", metadata=metadata))
            assert seen.code == grpc.StatusCode.UNIMPLEMENTED
        assert asked == []


def test_unwritten_methods_can_be_listed() -> None:
    class Some(auth_service_pb2_grpc.AuthServiceServicer):
        def Login(self, request: Any, context: Any) -> Any: ...

    every = {method.name for method in auth_service_pb2.DESCRIPTOR.services_by_name["AuthService"].methods}
    assert sorted(every - {"Login"}) == unimplemented(Some())  # type: ignore[abstract]
    assert sorted(every) == unimplemented(auth_service_pb2_grpc.AuthServiceServicer())  # type: ignore[abstract]
