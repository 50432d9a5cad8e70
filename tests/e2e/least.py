"""For each RPC, what the contract asks for and nothing else."""

from __future__ import annotations

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from tests.company import company
from tests.running import PASSWORD, Metadata, Running, bearer

from identity.domain.service_access import create_service_key, learn_service_keys
from identity_pb.v1 import access_pb2
from identity_pb.v1 import account_service_pb2 as accounts
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import factor_service_pb2 as factors
from identity_pb.v1 import invite_service_pb2 as invites
from identity_pb.v1 import session_service_pb2 as sessions
from identity_pb.v1 import tenant_service_pb2 as tenants

SOMEBODY = "00000000-0000-7000-8000-000000000000"
_NAME = FieldMask(paths=["name"])

# A password that the policy refuses keeps the set-up open.
LEAST: dict[str, Message] = {
    "AuthService.GetSetupStatus": auth.GetSetupStatusRequest(),
    "AuthService.Setup": auth.SetupRequest(email="a@example.org", password="short", tenant_name="Acme"),
    "AuthService.Register": auth.RegisterRequest(email="a@example.org", password="short"),
    "AuthService.VerifyEmail": auth.VerifyEmailRequest(token="unknown"),
    "AuthService.ResendVerification": auth.ResendVerificationRequest(email="a@example.org"),
    "AuthService.Login": auth.LoginRequest(identifier="a@example.org", password=PASSWORD),
    "AuthService.SelectTenant": auth.SelectTenantRequest(challenge_token="unknown", tenant_id=SOMEBODY),
    "AuthService.SendOtp": auth.SendOtpRequest(challenge_token="unknown"),
    "AuthService.VerifyOtp": auth.VerifyOtpRequest(challenge_token="unknown", otp="123456"),
    "AuthService.RequestPasswordReset": auth.RequestPasswordResetRequest(identifier="a@example.org"),
    "AuthService.ValidatePasswordReset": auth.ValidatePasswordResetRequest(token="unknown"),
    "AuthService.ResetPassword": auth.ResetPasswordRequest(token="unknown", new_password=PASSWORD),
    "AuthService.ChangePassword": auth.ChangePasswordRequest(current_password=PASSWORD, new_password=PASSWORD),
    "AuthService.UnlockAccount": auth.UnlockAccountRequest(token="unknown"),
    "SessionService.RefreshSession": sessions.RefreshSessionRequest(refresh_token="unknown"),
    "SessionService.SignOut": sessions.SignOutRequest(),
    "SessionService.GetSession": sessions.GetSessionRequest(),
    "SessionService.ListSessions": sessions.ListSessionsRequest(),
    "SessionService.RevokeSession": sessions.RevokeSessionRequest(id=SOMEBODY),
    "SessionService.RevokeSessions": sessions.RevokeSessionsRequest(selection=sessions.SESSION_SELECTION_OTHERS),
    "SessionService.SwitchTenant": sessions.SwitchTenantRequest(tenant_id=SOMEBODY),
    "SessionService.RegisterPushDevice": sessions.RegisterPushDeviceRequest(
        token="token", platform=sessions.PUSH_PLATFORM_WEB
    ),
    "SessionService.RemovePushDevice": sessions.RemovePushDeviceRequest(id=SOMEBODY),
    "SessionService.ListPushDevices": sessions.ListPushDevicesRequest(),
    "SessionService.IntrospectToken": sessions.IntrospectTokenRequest(token="unknown"),
    "SessionService.GetJwks": sessions.GetJwksRequest(),
    "SessionService.WatchRevocations": sessions.WatchRevocationsRequest(),
    "FactorService.ListFactors": factors.ListFactorsRequest(),
    "FactorService.SendFactorCode": factors.SendFactorCodeRequest(),
    "FactorService.BeginTotpEnrollment": factors.BeginTotpEnrollmentRequest(current_password=PASSWORD),
    "FactorService.ConfirmTotpEnrollment": factors.ConfirmTotpEnrollmentRequest(
        enrollment_token="unknown", code="123456"
    ),
    "FactorService.RemoveFactor": factors.RemoveFactorRequest(id=SOMEBODY, current_password=PASSWORD),
    "FactorService.RegenerateRecoveryCodes": factors.RegenerateRecoveryCodesRequest(current_password=PASSWORD),
    "FactorService.SetEmailOtp": factors.SetEmailOtpRequest(current_password=PASSWORD),
    "InviteService.CreateInvite": invites.CreateInviteRequest(email="a@example.org", role="user"),
    "InviteService.ListInvites": invites.ListInvitesRequest(),
    "InviteService.GetInvite": invites.GetInviteRequest(id=SOMEBODY),
    "InviteService.ResendInvite": invites.ResendInviteRequest(id=SOMEBODY),
    "InviteService.RevokeInvite": invites.RevokeInviteRequest(id=SOMEBODY),
    "InviteService.ValidateInvite": invites.ValidateInviteRequest(token="unknown"),
    "InviteService.AcceptInvite": invites.AcceptInviteRequest(token="unknown"),
    "InviteService.DeclineInvite": invites.DeclineInviteRequest(token="unknown"),
    "AccountService.CreateAccount": accounts.CreateAccountRequest(email="a@example.org"),
    "AccountService.GetAccount": accounts.GetAccountRequest(id=SOMEBODY),
    "AccountService.ListAccounts": accounts.ListAccountsRequest(),
    "AccountService.UpdateAccount": accounts.UpdateAccountRequest(
        id=SOMEBODY, changes=accounts.AccountChanges(name="A"), update_mask=_NAME
    ),
    "AccountService.SetAccountStatus": accounts.SetAccountStatusRequest(
        id=SOMEBODY, action=accounts.ACCOUNT_ACTION_UNLOCK
    ),
    "AccountService.DeleteAccount": accounts.DeleteAccountRequest(id=SOMEBODY),
    "TenantService.GetTenant": tenants.GetTenantRequest(),
    "TenantService.UpdateTenant": tenants.UpdateTenantRequest(
        changes=tenants.TenantChanges(name="A"), update_mask=_NAME
    ),
    "TenantService.ListRoles": tenants.ListRolesRequest(),
    "TenantService.PutRole": tenants.PutRoleRequest(key="scout", name="Scout"),
    "TenantService.DeleteRole": tenants.DeleteRoleRequest(key="scout"),
}

# Where one of several is needed, none of them is named: the choice is, or the request as a whole.
CHOICES = {
    ("AuthService.Register", "email"): "",
    ("AuthService.SelectTenant", "tenant_id"): "tenant",
    ("AuthService.SendOtp", "challenge_token"): "challenge",
    ("AuthService.VerifyOtp", "challenge_token"): "challenge",
    ("AuthService.VerifyOtp", "otp"): "code",
    ("SessionService.SwitchTenant", "tenant_id"): "tenant",
    ("SessionService.RemovePushDevice", "id"): "",
}

_owners: dict[int, Any] = {}


async def credentials(service: Running, method: Any) -> Metadata:
    """What a call of this RPC must come with: nothing, an owner's token, or a service key."""
    options = method.GetOptions().Extensions
    match options[access_pb2.access]:
        case access_pb2.ACCESS_CALLER | access_pb2.ACCESS_ADMIN:
            if id(service) not in _owners:
                _owners[id(service)] = await company(service)
            return bearer((await service.login(_owners[id(service)].email)).tokens.access_token)
        case access_pb2.ACCESS_SERVICE:
            name = f"least {len(service.world.database.read(lambda tx: tx.service_keys.all()))}"
            key = create_service_key(service.world, name, [options[access_pb2.scope]])
            learn_service_keys(service.world)
            return bearer(key)
    return ()
