"""FactorService: a person's own second factors."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from uuid import UUID

import grpc
import segno

from identity.domain.factor.email_otp import send_factor_code, set_email_otp
from identity.domain.factor.list_factors import list_factors
from identity.domain.factor.recovery_codes import regenerate_recovery_codes
from identity.domain.factor.remove_factor import remove_factor
from identity.domain.factor.totp import begin_totp_enrolment, confirm_totp_enrolment
from identity.domain.factors import Factor
from identity.domain.fresh_proof import FreshProof
from identity.domain.ports import World
from identity.domain.throttles import ADDRESS_MAILS
from identity.rpc import convert
from identity.rpc.caller import current_caller, current_source
from identity.rpc.convert import read
from identity.rpc.work import hashes
from identity_pb.v1 import factor_service_pb2 as pb
from identity_pb.v1.factor_service_pb2_grpc import FactorServiceServicer


class FactorService(FactorServiceServicer):
    """Each method reads its request, calls one domain function and builds the response."""

    def __init__(self, world: World) -> None:
        self._world = world

    def ListFactors(self, request: pb.ListFactorsRequest, context: grpc.ServicerContext) -> pb.ListFactorsResponse:
        overview = list_factors(self._world, current_caller())
        return pb.ListFactorsResponse(
            factors=[_factor(factor) for factor in overview.factors],
            recovery_codes_left=overview.recovery_codes_left,
            required=overview.required,
        )

    def SendFactorCode(
        self, request: pb.SendFactorCodeRequest, context: grpc.ServicerContext
    ) -> pb.SendFactorCodeResponse:
        send_factor_code(self._world, current_caller(), read(request, "locale"))
        return pb.SendFactorCodeResponse(resend_after=convert.duration(ADDRESS_MAILS.period))

    @hashes
    def BeginTotpEnrollment(
        self, request: pb.BeginTotpEnrollmentRequest, context: grpc.ServicerContext
    ) -> pb.BeginTotpEnrollmentResponse:
        enrolment = begin_totp_enrolment(self._world, _proof(request), read(request, "label"))
        picture, svg, png = segno.make(enrolment.uri, error="m"), BytesIO(), BytesIO()
        picture.save(svg, kind="svg", scale=4)
        picture.save(png, kind="png", scale=4)
        return pb.BeginTotpEnrollmentResponse(
            enrollment_token=enrolment.token,
            secret=enrolment.secret,
            otpauth_uri=enrolment.uri,
            qr_code_svg=svg.getvalue().decode(),
            qr_code_png=png.getvalue(),
            expires_at=convert.timestamp(enrolment.expires_at),
        )

    def ConfirmTotpEnrollment(
        self, request: pb.ConfirmTotpEnrollmentRequest, context: grpc.ServicerContext
    ) -> pb.ConfirmTotpEnrollmentResponse:
        enrolled = confirm_totp_enrolment(
            self._world, current_caller(), request.enrollment_token, request.code, current_source()
        )
        return pb.ConfirmTotpEnrollmentResponse(
            factor=_factor(enrolled.factor),
            recovery_codes=enrolled.recovery_codes,
            sessions_ended=enrolled.sessions_ended,
        )

    @hashes
    def RemoveFactor(self, request: pb.RemoveFactorRequest, context: grpc.ServicerContext) -> pb.RemoveFactorResponse:
        ended = remove_factor(self._world, _proof(request), UUID(request.id))
        return pb.RemoveFactorResponse(sessions_ended=ended)

    @hashes
    def RegenerateRecoveryCodes(
        self, request: pb.RegenerateRecoveryCodesRequest, context: grpc.ServicerContext
    ) -> pb.RegenerateRecoveryCodesResponse:
        codes = regenerate_recovery_codes(self._world, _proof(request))
        return pb.RegenerateRecoveryCodesResponse(recovery_codes=codes)

    @hashes
    def SetEmailOtp(self, request: pb.SetEmailOtpRequest, context: grpc.ServicerContext) -> pb.SetEmailOtpResponse:
        switched = set_email_otp(self._world, _proof(request), enabled=request.enabled)
        return pb.SetEmailOtpResponse(
            factor=_factor(switched.factor) if switched.factor else None,
            recovery_codes=switched.recovery_codes,
            sessions_ended=switched.sessions_ended,
        )


def _proof(request: Any) -> FreshProof:
    return FreshProof(
        current_caller(), request.current_password, convert.read_code(request.second_factor), current_source()
    )


def _factor(value: Factor) -> pb.Factor:
    return pb.Factor(
        id=str(value.id),
        type=convert.factor_type(value.type),
        label=value.label,
        created_at=convert.timestamp(value.created_at),
        last_used_at=convert.timestamp(value.last_used_at),
    )
