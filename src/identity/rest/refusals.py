"""Every way in which a request is refused, by the service or before it was asked, and how that looks over HTTP."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from starlette.responses import JSONResponse, Response

INVALID_ARGUMENT, NOT_FOUND = 3, 5
PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 7, 8, 12, 13, 14, 16

# The mapping of google.rpc.Code, as grpc-gateway and Envoy have it; but what our own deadline ends is a service out
# of reach, and what is cancelled, by a client that left, has no answer.
HTTP: Final[Mapping[int, int]] = {
    INVALID_ARGUMENT: 400,
    9: 400,
    11: 400,
    UNAUTHENTICATED: 401,
    PERMISSION_DENIED: 403,
    NOT_FOUND: 404,
    6: 409,
    10: 409,
    RESOURCE_EXHAUSTED: 429,
    UNIMPLEMENTED: 501,
    UNAVAILABLE: 503,
}
_UNAVAILABLE = "The service cannot be reached. Try again in a moment."
_RETRY_SECONDS = 1.0


class Violation(NamedTuple):
    """What is wrong with one field; never its value."""

    field: str
    description: str
    reason: str


class Refusal(Exception):
    """A request that gets an error.

    `code` is the number of the gRPC status and `status` the HTTP status. `reason` is an ErrorReason of the contract;
    `retry_after` is in seconds.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        reason: str,
        status: int | None = None,
        violations: Sequence[Violation] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reason = reason
        self.status = status or HTTP.get(code, 500)
        self.violations = tuple(violations)
        self.metadata = dict(metadata or {})
        self.retry_after = retry_after
        self.headers = dict(headers or {})

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields at fault, as the contract spells them: `device.name`, `team_ids[2]`."""
        return tuple(violation.field for violation in self.violations)

    def translate(self, names: Mapping[str, str], words: Mapping[str, str]) -> None:
        """Call the fields at fault by other names, and say other words for the reason, where there are any."""
        self.message = words.get(self.reason, self.message)
        self.violations = tuple(
            violation._replace(field=names.get(violation.field, violation.field)) for violation in self.violations
        )


def invalid(message: str, *violations: Violation) -> Refusal:
    """A request that the contract does not allow."""
    return Refusal(INVALID_ARGUMENT, message, reason="INVALID_REQUEST", violations=violations)


def malformed(field: str, description: str, reason: str = "MALFORMED") -> Refusal:
    """A request with one field that cannot be read; names it, and never says what stood in it."""
    return invalid("The request is not valid.", Violation(field, description, reason))


def unavailable() -> Refusal:
    """The service is away; nothing is known of what was asked (AV-02)."""
    return Refusal(UNAVAILABLE, _UNAVAILABLE, reason="SERVICE_UNAVAILABLE", retry_after=_RETRY_SECONDS)


def overloaded() -> Refusal:
    """So much is being asked at once that this was not even looked at."""
    return Refusal(
        RESOURCE_EXHAUSTED,
        "Too much is asked at once. Try again in a moment.",
        reason="OVERLOADED",
        retry_after=_RETRY_SECONDS,
    )


def of_rpc(error: grpc.aio.AioRpcError) -> Refusal:
    """What the service refused a call with, or that it could not be asked."""
    trailing = dict(error.trailing_metadata() or ())
    details = trailing.get("grpc-status-details-bin")
    if not isinstance(details, bytes):
        # gRPC itself speaks: its texts tell of addresses and sockets.
        return _of_transport(error.code())
    status = Status.FromString(details)
    info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
    retry_after = None
    for detail in status.details:
        if detail.Unpack(retry):
            retry_after = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        else:
            _ = detail.Unpack(info) or detail.Unpack(bad)
    return Refusal(
        status.code,
        status.message,
        reason=info.reason,
        metadata=info.metadata,
        violations=[Violation(each.field, each.description, each.reason) for each in bad.field_violations],
        retry_after=retry_after,
    )


def _of_transport(code: grpc.StatusCode) -> Refusal:
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Refusal(UNIMPLEMENTED, "The service behind does not know this call.", reason="NOT_FOUND")
    # Also for a connection that broke while the call was under way.
    return unavailable()


def render(refusal: Refusal) -> Response:
    """The canonical error body: `google.rpc.Status` in JSON, as grpc-gateway and Envoy give it."""
    body = {"code": refusal.code, "message": refusal.message, "details": list(_details(refusal))}
    return JSONResponse(body, refusal.status, headers=headers_of(refusal))


def headers_of(refusal: Refusal) -> dict[str, str]:
    """The headers that go with a refusal in whatever shape."""
    headers = dict(refusal.headers)
    if refusal.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(refusal.retry_after)))
    if refusal.status == 401:
        headers["www-authenticate"] = "Bearer"
    return headers


def _details(refusal: Refusal) -> Sequence[dict[str, Any]]:
    google = "type.googleapis.com/google.rpc."
    details: list[dict[str, Any]] = [
        {
            "@type": f"{google}ErrorInfo",
            "reason": refusal.reason,
            "domain": "identity.v1",
            "metadata": refusal.metadata,
        }
    ]
    if refusal.violations:
        violations = [
            {"field": field, "description": description, "reason": reason}
            for field, description, reason in refusal.violations
        ]
        details.append({"@type": f"{google}BadRequest", "fieldViolations": violations})
    if refusal.retry_after is not None:
        details.append({"@type": f"{google}RetryInfo", "retryDelay": _duration(refusal.retry_after)})
    return details


def _duration(seconds: float) -> str:
    """A Duration as protobuf writes it in JSON: with 0, 3, 6 or 9 digits."""
    milliseconds = math.ceil(seconds * 1000)
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole}.{rest:03}s" if rest else f"{whole}s"
