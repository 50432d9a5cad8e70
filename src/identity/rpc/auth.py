"""AuthService: becoming somebody."""

from __future__ import annotations

from uuid import UUID

import grpc

from identity.domain.accounts import canonical_email
from identity.domain.auth.change_password import Change, change_password
from identity.domain.auth.login import Attempt, login
from identity.domain.auth.otp import Credentials, send_otp, verify_credentials_and_otp, verify_otp
from identity.domain.auth.password_reset import (
    Reset,
    issue_password_reset,
    request_password_reset,
    reset_password,
    validate_password_reset,
)
from identity.domain.auth.register import Registration, register
from identity.domain.auth.select_tenant import select_tenant
from identity.domain.auth.setup import FirstRun, needs_setup, set_up
from identity.domain.auth.unlock_account import unlock_account
from identity.domain.auth.verify_email import resend_verification, verify_email
from identity.domain.code_proof import Code
from identity.domain.ports import World
from identity.domain.throttles import ADDRESS_MAILS
from identity.rpc import convert
from identity.rpc.caller import current_source, optional_caller, proven_service
from identity.rpc.convert import read
from identity.rpc.identifiers import canonical_phone, read_identifier
from identity.rpc.work import hashes
from identity_pb.v1 import auth_service_pb2 as pb
from identity_pb.v1.auth_service_pb2_grpc import AuthServiceServicer


class AuthService(AuthServiceServicer):
    """Each method reads its request, calls one domain function and builds the response."""

    def __init__(self, world: World) -> None:
        self._world = world

    def GetSetupStatus(
        self, request: pb.GetSetupStatusRequest, context: grpc.ServicerContext
    ) -> pb.GetSetupStatusResponse:
        return pb.GetSetupStatusResponse(needs_setup=needs_setup(self._world))

    @hashes
    def Setup(self, request: pb.SetupRequest, context: grpc.ServicerContext) -> pb.SetupResponse:
        contact = request.contact
        first_run = FirstRun(
            email=canonical_email(request.email),
            password=request.password,
            name=convert.read_name(request),
            locale=request.locale,
            tenant_name=request.tenant_name,
            tenant_kind=read(request, "tenant_kind"),
            tenant_email=canonical_email(contact.email, field="contact.email") if contact.HasField("email") else None,
            tenant_phone=read(contact, "phone"),
            tenant_address=read(contact, "address"),
            attributes=convert.read_attributes(request.attributes),
            opening_hours=convert.read_hours(request.opening_hours),
            bootstrap_secret=request.bootstrap_secret,
            client=convert.read_client(request, current_source()),
        )
        signed_in = set_up(self._world, first_run)
        return pb.SetupResponse(session=convert.session_result(signed_in))

    @hashes
    def Register(self, request: pb.RegisterRequest, context: grpc.ServicerContext) -> pb.RegisterResponse:
        wish = Registration(
            email=canonical_email(request.email) if request.HasField("email") else None,
            phone=canonical_phone(request.phone, request.phone_country) if request.HasField("phone") else None,
            password=request.password,
            name=convert.read_name(request),
            role=read(request, "role"),
            tenant_name=read(request, "tenant_name"),
            locale=read(request, "locale"),
            client=convert.read_client(request, current_source()),
        )
        registered = register(self._world, wish)
        signed_in = registered.signed_in
        return pb.RegisterResponse(
            account=convert.account(registered.account, to_itself=False),
            tenant=convert.tenant(registered.tenant),
            session=convert.session_result(signed_in) if signed_in else None,
            email_verification_sent=registered.email_verification_sent,
        )

    def VerifyEmail(self, request: pb.VerifyEmailRequest, context: grpc.ServicerContext) -> pb.VerifyEmailResponse:
        email, verified_at = verify_email(self._world, request.token, current_source())
        return pb.VerifyEmailResponse(email=email, verified_at=convert.timestamp(verified_at))

    def ResendVerification(
        self, request: pb.ResendVerificationRequest, context: grpc.ServicerContext
    ) -> pb.ResendVerificationResponse:
        email = canonical_email(request.email)
        resend_verification(self._world, email, read(request, "locale"), current_source())
        return pb.ResendVerificationResponse()

    @hashes
    def Login(self, request: pb.LoginRequest, context: grpc.ServicerContext) -> pb.LoginResponse:
        attempt = Attempt(
            identifier=read_identifier(request.identifier, request.phone_country),
            password=request.password,
            tenant_slug=request.tenant_slug or None,
            client=convert.read_client(request, current_source()),
            device_token=request.device_token,
        )
        return pb.LoginResponse(**convert.login_result(login(self._world, attempt)))

    def SelectTenant(self, request: pb.SelectTenantRequest, context: grpc.ServicerContext) -> pb.SelectTenantResponse:
        by_id = request.WhichOneof("tenant") == "tenant_id"
        result = select_tenant(
            self._world,
            request.challenge_token,
            tenant_id=UUID(request.tenant_id) if by_id else None,
            tenant_slug=None if by_id else request.tenant_slug,
            source=current_source(),
        )
        return pb.SelectTenantResponse(**convert.login_result(result))

    def SendOtp(self, request: pb.SendOtpRequest, context: grpc.ServicerContext) -> pb.SendOtpResponse:
        by_token = request.WhichOneof("challenge") == "challenge_token"
        send_otp(
            self._world,
            token=request.challenge_token if by_token else None,
            identifier=None if by_token else read_identifier(request.identifier, request.phone_country),
            email=canonical_email(request.email) if request.HasField("email") else None,
            locale=read(request, "locale"),
            source=current_source(),
        )
        return pb.SendOtpResponse(resend_after=convert.duration(ADDRESS_MAILS.period))

    @hashes
    def VerifyOtp(self, request: pb.VerifyOtpRequest, context: grpc.ServicerContext) -> pb.VerifyOtpResponse:
        code = convert.read_code(request) or Code("")
        if request.WhichOneof("challenge") == "challenge_token":
            result = verify_otp(self._world, request.challenge_token, code, current_source())
        else:
            who = request.credentials
            credentials = Credentials(
                read_identifier(who.identifier, who.phone_country),
                who.password,
                fingerprint=read(who.device, "fingerprint"),
                device_token=who.device_token,
            )
            result = verify_credentials_and_otp(self._world, credentials, code, current_source())
        return pb.VerifyOtpResponse(**convert.login_result(result))

    def RequestPasswordReset(
        self, request: pb.RequestPasswordResetRequest, context: grpc.ServicerContext
    ) -> pb.RequestPasswordResetResponse:
        identifier = read_identifier(request.identifier, request.phone_country)
        slug, source = request.tenant_slug or None, current_source()
        service = proven_service()
        if service is None:
            request_password_reset(self._world, identifier, slug, read(request, "locale"), source)
            return pb.RequestPasswordResetResponse()
        token, expires_at = issue_password_reset(self._world, identifier, slug, service, source) or (None, None)
        return pb.RequestPasswordResetResponse(reset_token=token, reset_expires_at=convert.timestamp(expires_at))

    def ValidatePasswordReset(
        self, request: pb.ValidatePasswordResetRequest, context: grpc.ServicerContext
    ) -> pb.ValidatePasswordResetResponse:
        token = validate_password_reset(self._world, request.token)
        return pb.ValidatePasswordResetResponse(
            valid=True, email=token.email, expires_at=convert.timestamp(token.expires_at)
        )

    @hashes
    def ResetPassword(
        self, request: pb.ResetPasswordRequest, context: grpc.ServicerContext
    ) -> pb.ResetPasswordResponse:
        wish = Reset(
            token=request.token,
            new_password=request.new_password,
            email=canonical_email(request.email) if request.HasField("email") else None,
            source=current_source(),
        )
        reset_password(self._world, wish)
        return pb.ResetPasswordResponse()

    def UnlockAccount(
        self, request: pb.UnlockAccountRequest, context: grpc.ServicerContext
    ) -> pb.UnlockAccountResponse:
        unlock_account(self._world, request.token, current_source())
        return pb.UnlockAccountResponse()

    @hashes
    def ChangePassword(
        self, request: pb.ChangePasswordRequest, context: grpc.ServicerContext
    ) -> pb.ChangePasswordResponse:
        named = request.HasField("identifier")
        wish = Change(
            current_password=request.current_password,
            new_password=request.new_password,
            code=convert.read_code(request.second_factor),
            identifier=read_identifier(request.identifier, request.phone_country) if named else None,
            caller=optional_caller(),
            source=current_source(),
        )
        return pb.ChangePasswordResponse(sessions_ended=change_password(self._world, wish))
