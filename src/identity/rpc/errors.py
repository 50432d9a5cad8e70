"""From domain errors to gRPC statuses: one table, and the only place that builds error details (habit 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from identity.domain.errors import DomainError, InvalidRequest

DOMAIN: Final = "identity.v1"

# By reason, not by class: the contract gives each reason its one code (error_reason.proto says which, a test
# compares), and several classes may share a reason.
CODES: Final[Mapping[str, StatusCode]] = {
    "INVALID_REQUEST": StatusCode.INVALID_ARGUMENT,
    "UNAUTHENTICATED": StatusCode.UNAUTHENTICATED,
    "PERMISSION_DENIED": StatusCode.PERMISSION_DENIED,
    "NOT_FOUND": StatusCode.NOT_FOUND,
    "RATE_LIMITED": StatusCode.RESOURCE_EXHAUSTED,
    "OVERLOADED": StatusCode.RESOURCE_EXHAUSTED,
    "SERVICE_UNAVAILABLE": StatusCode.UNAVAILABLE,
    "INTERNAL": StatusCode.INTERNAL,
    "INVALID_CREDENTIALS": StatusCode.UNAUTHENTICATED,
    "ACCOUNT_LOCKED": StatusCode.PERMISSION_DENIED,
    "EMAIL_NOT_VERIFIED": StatusCode.PERMISSION_DENIED,
    "MFA_REQUIRED": StatusCode.FAILED_PRECONDITION,
    "OTP_INVALID": StatusCode.UNAUTHENTICATED,
    "OTP_EXPIRED": StatusCode.UNAUTHENTICATED,
    "REAUTHENTICATION_REQUIRED": StatusCode.FAILED_PRECONDITION,
    "PASSWORD_CHANGE_REQUIRED": StatusCode.PERMISSION_DENIED,
    "TOKEN_EXPIRED": StatusCode.UNAUTHENTICATED,
    "TOKEN_INVALID": StatusCode.UNAUTHENTICATED,
    "TOKEN_REUSED": StatusCode.UNAUTHENTICATED,
    "SESSION_REVOKED": StatusCode.UNAUTHENTICATED,
    "LINK_EXPIRED": StatusCode.FAILED_PRECONDITION,
    "LINK_USED": StatusCode.FAILED_PRECONDITION,
    "LINK_NOT_FOUND": StatusCode.NOT_FOUND,
    "EMAIL_TAKEN": StatusCode.ALREADY_EXISTS,
    "PHONE_TAKEN": StatusCode.ALREADY_EXISTS,
    "TENANT_NAME_TAKEN": StatusCode.ALREADY_EXISTS,
    "ALREADY_REGISTERED": StatusCode.ALREADY_EXISTS,
    "TENANT_NOT_FOUND": StatusCode.NOT_FOUND,
    "REGISTRATION_CLOSED": StatusCode.PERMISSION_DENIED,
    "ROLE_NOT_ALLOWED": StatusCode.INVALID_ARGUMENT,
    "SETUP_DONE": StatusCode.FAILED_PRECONDITION,
    "BOOTSTRAP_SECRET_INVALID": StatusCode.PERMISSION_DENIED,
    "PASSWORD_TOO_SHORT": StatusCode.INVALID_ARGUMENT,
    "PASSWORD_TOO_LONG": StatusCode.INVALID_ARGUMENT,
    "PASSWORD_COMPOSITION": StatusCode.INVALID_ARGUMENT,
    "PASSWORD_BLOCKLISTED": StatusCode.INVALID_ARGUMENT,
    "PASSWORD_UNCHANGED": StatusCode.INVALID_ARGUMENT,
    "INVITE_EXPIRED": StatusCode.FAILED_PRECONDITION,
    "INVITE_USED": StatusCode.FAILED_PRECONDITION,
    "INVITE_NOT_FOUND": StatusCode.NOT_FOUND,
    "INVITE_VOID": StatusCode.FAILED_PRECONDITION,
    "INVITE_EMAIL_MISMATCH": StatusCode.PERMISSION_DENIED,
    "SIGN_IN_REQUIRED": StatusCode.UNAUTHENTICATED,
    "ALREADY_MEMBER": StatusCode.ALREADY_EXISTS,
    "ROLE_IN_USE": StatusCode.FAILED_PRECONDITION,
    "LAST_ADMIN": StatusCode.FAILED_PRECONDITION,
    "FACTOR_REQUIRED": StatusCode.FAILED_PRECONDITION,
    "FACTOR_NOT_ALLOWED": StatusCode.FAILED_PRECONDITION,
}

_TrailingMetadata = tuple[tuple[str, str | bytes], ...]


class FieldViolation(NamedTuple):
    """What is wrong with one field; never its value."""

    field: str
    description: str
    reason: str


class InvalidFields(InvalidRequest):
    """Several fields break rules of the contract."""

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        super().__init__()
        self.violations = tuple(violations)


class InternalError(DomainError):
    """Whatever nobody foresaw. The client gets a reference to the log, and nothing else (TR-05)."""

    reason = "INTERNAL"
    message = "internal error"

    def __init__(self, ref: str) -> None:
        super().__init__(ref=ref)
        self.message = f"internal error; ref={ref}"  # type: ignore[misc]  # the instance says more than the class


class Answer(NamedTuple):
    """A failed call as gRPC sends it."""

    code: StatusCode
    reason: str
    message: str
    trailing_metadata: _TrailingMetadata


def to_status(error: DomainError) -> Status:
    """Builds the rich status: ErrorInfo always, BadRequest and RetryInfo when the error has them."""
    details: list[Message] = [ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)]
    if violations := _violations(error):
        details.append(BadRequest(field_violations=(BadRequest.FieldViolation(**v._asdict()) for v in violations)))
    if error.retry_after is not None:
        details.append(RetryInfo(retry_delay=_duration(error.retry_after)))
    return Status(code=CODES[error.reason].value[0], message=error.message, details=map(_pack, details))


def to_answer(error: DomainError) -> Answer:
    """Adds what travels beside the status: `retry-after` in whole seconds, for clients that read no details."""
    status = to_status(error)
    trailing: _TrailingMetadata = (("grpc-status-details-bin", status.SerializeToString()),)
    if error.retry_after is not None:
        trailing += (("retry-after", str(max(1, math.ceil(error.retry_after)))),)
    return Answer(CODES[error.reason], error.reason, status.message, trailing)


def _violations(error: DomainError) -> Sequence[FieldViolation]:
    if isinstance(error, InvalidFields):
        return error.violations
    return () if error.field is None else (FieldViolation(error.field, error.message, error.reason),)


def _pack(detail: Message) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed


def _duration(seconds: float) -> Duration:
    milliseconds = math.ceil(max(0.0, seconds) * 1000)
    return Duration(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)
