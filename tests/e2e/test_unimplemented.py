"""The one list of RPCs that wait for their turn; it can only get shorter."""

from __future__ import annotations

import grpc
import pytest
from tests.e2e.contract import call, methods, name_of, path_of
from tests.running import Refusal, Running, outcome, refused

UNIMPLEMENTED = {
    "AccountService.CreateAccount",
    "AccountService.DeleteAccount",
    "AccountService.GetAccount",
    "AccountService.ListAccounts",
    "AccountService.SetAccountStatus",
    "AccountService.UpdateAccount",
    "AuthService.SelectTenant",
    "AuthService.SendOtp",
    "AuthService.UnlockAccount",
    "AuthService.VerifyOtp",
    "FactorService.BeginTotpEnrollment",
    "FactorService.ConfirmTotpEnrollment",
    "FactorService.ListFactors",
    "FactorService.RegenerateRecoveryCodes",
    "FactorService.RemoveFactor",
    "FactorService.SendFactorCode",
    "FactorService.SetEmailOtp",
    "InviteService.AcceptInvite",
    "InviteService.CreateInvite",
    "InviteService.DeclineInvite",
    "InviteService.GetInvite",
    "InviteService.ListInvites",
    "InviteService.ResendInvite",
    "InviteService.RevokeInvite",
    "InviteService.ValidateInvite",
    "SessionService.IntrospectToken",
    "SessionService.ListPushDevices",
    "SessionService.ListSessions",
    "SessionService.RegisterPushDevice",
    "SessionService.RemovePushDevice",
    "SessionService.RevokeSession",
    "SessionService.RevokeSessions",
    "SessionService.SwitchTenant",
    "SessionService.WatchRevocations",
    "TenantService.DeleteRole",
    "TenantService.GetTenant",
    "TenantService.ListRoles",
    "TenantService.PutRole",
    "TenantService.UpdateTenant",
}


async def test_exactly_these_calls_are_unimplemented(service: Running) -> None:
    """Every RPC of the contract is on the list and answers UNIMPLEMENTED, or is not and answers something else."""
    codes: dict[str, grpc.StatusCode] = {}
    for method in methods():
        answer = await outcome(call(service.channel, path_of(method), b"", stream=method.server_streaming))
        codes[name_of(method)] = answer.code if isinstance(answer, Refusal) else grpc.StatusCode.OK
    assert {name for name, code in codes.items() if code is grpc.StatusCode.UNIMPLEMENTED} == UNIMPLEMENTED
    assert not {*codes.values()} & {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}


@pytest.mark.parametrize(
    "path",
    [
        *("/identity.v1.AuthService/login", "/identity.v1.authservice/Login", "/identity.v1.AuthService/Login/"),
        *("//identity.v1.AuthService/Login", "/identity.v2.AuthService/Login", "/identity.v1.AuthService/Loginx"),
        *("/grpc.channelz.v1.Channelz/GetServers", "/identity.v1.AuthService/__init__"),
    ],
)
async def test_AZ_01_another_spelling_is_another_call(service: Running, path: str) -> None:
    """What the contract does not name is unimplemented, however close it comes."""
    assert (await refused(call(service.channel, path, b""))).code is grpc.StatusCode.UNIMPLEMENTED
