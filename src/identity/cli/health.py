"""`identity health`: what a container's health check runs, since an image needs no other probe then."""

from __future__ import annotations

from typing import Any

import grpc
import typer
from cryptography.x509 import DNSName, IPAddress, SubjectAlternativeName, load_pem_x509_certificate
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from identity.cli.output import OUTSIDE, fail, out, plain_errors
from identity.settings import Settings, load_settings

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "": "127.0.0.1"}  # noqa: S104


def run(address: str, timeout: float) -> None:
    """Exit 0 if the service serves, 1 if it does not."""
    with plain_errors():
        settings = load_settings()
    target = address or _reachable(settings.grpc_address)
    try:
        with _channel(target, settings) as channel:
            stub: Any = HealthStub(channel)  # its published types know no methods
            answer = stub.Check(HealthCheckRequest(), timeout=timeout)
    except grpc.RpcError as error:
        code = error.code().name if isinstance(error, grpc.Call) else "UNKNOWN"
        fail(f"{target} does not answer ({code}).", OUTSIDE)
    status = HealthCheckResponse.ServingStatus.Name(answer.status)
    out.print(f"{target}: {status}")
    if answer.status != HealthCheckResponse.SERVING:
        raise typer.Exit(OUTSIDE)


def _reachable(address: str) -> str:
    """Where a service that listens on `address` can be called from this machine."""
    if address.startswith("unix:"):
        return address
    host, _, port = address.rpartition(":")
    if port == "0":
        fail("IDENTITY_GRPC_ADDRESS leaves the port to the system. Name it: identity health --address HOST:PORT")
    return f"{_EVERYWHERE.get(host, host)}:{port}"


def _channel(target: str, settings: Settings) -> grpc.Channel:
    if settings.tls_certificate is None:
        return grpc.insecure_channel(target)
    # The probe shares the service's settings: it trusts that one certificate, under the name that stands in it.
    try:
        pem = settings.tls_certificate.read_bytes()
        name = _name_in(pem)
    except (OSError, ValueError) as error:
        fail(f"The certificate {settings.tls_certificate} cannot be read: {error}")
    options = [("grpc.ssl_target_name_override", name)] if name else []
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(pem), options)


def _name_in(pem: bytes) -> str:
    names = load_pem_x509_certificate(pem).extensions.get_extension_for_class(SubjectAlternativeName).value
    hosts = names.get_values_for_type(DNSName) or [str(ip) for ip in names.get_values_for_type(IPAddress)]
    return hosts[0].replace("*", "identity") if hosts else ""
