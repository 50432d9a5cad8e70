"""`identity health`: what a container's health check runs, since an image needs no other probe then."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import grpc
import typer
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from identity.cli.output import OUTSIDE, fail, out, plain_errors
from identity.crypto.certificates import CertificateInvalid, read_certificates
from identity.settings import Settings, load_settings

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "": "127.0.0.1"}  # noqa: S104


def run(address: str, timeout: float, certificate: Path | None, key: Path | None) -> None:
    """Exit 0 if the service serves, 1 if it does not."""
    if address.startswith(("http://", "https://")):
        return _ask_http(address.rstrip("/"), timeout)
    if (certificate is None) != (key is None):
        fail("--certificate and --key go together: give both or none.")
    pair = (certificate, key) if certificate and key else None
    with plain_errors():
        settings = load_settings()
    target = address or _reachable(settings.grpc_address)
    try:
        with _channel(target, settings, pair) as channel:
            stub: Any = HealthStub(channel)  # its published types know no methods
            answer = stub.Check(HealthCheckRequest(), timeout=timeout)
    except grpc.RpcError as error:
        code = error.code().name if isinstance(error, grpc.Call) else "UNKNOWN"
        asked = " It asks for client certificates: --certificate and --key." if settings.tls_client_ca else ""
        fail(f"{target} does not answer ({code}).{asked}", OUTSIDE)
    status = HealthCheckResponse.ServingStatus.Name(answer.status)
    out.print(f"{target}: {status}")
    if answer.status != HealthCheckResponse.SERVING:
        raise typer.Exit(OUTSIDE)


def _ask_http(address: str, timeout: float) -> None:
    """The same of a container, which answers for itself and for the service behind."""
    try:
        with urlopen(f"{address}/healthz", timeout=timeout) as answer:  # noqa: S310  (the scheme was looked at)
            status = answer.status
    except HTTPError as error:
        status = error.code
    except OSError:
        fail(f"{address} does not answer.", OUTSIDE)
    serving = status == HTTPStatus.OK
    out.print(f"{address}: {'SERVING' if serving else 'NOT_SERVING'}")
    if not serving:
        raise typer.Exit(OUTSIDE)


def _reachable(address: str) -> str:
    """Where a service that listens on `address` can be called from this machine."""
    if address.startswith("unix:"):
        return address
    host, _, port = address.rpartition(":")
    if port == "0":
        fail("IDENTITY_GRPC_ADDRESS leaves the port to the system. Name it: identity health --address HOST:PORT")
    return f"{_EVERYWHERE.get(host, host)}:{port}"


def _channel(target: str, settings: Settings, pair: tuple[Path, Path] | None) -> grpc.Channel:
    if settings.tls_certificate is None or settings.tls_key is None:
        return grpc.insecure_channel(target)
    # The probe shares the service's settings: it trusts that one certificate, under the name that stands in it, and
    # shows it as its own where it is asked for one and was given no other.
    try:
        service = read_certificates(settings.tls_certificate, settings.tls_key)
        shown = read_certificates(*pair) if pair else service if settings.tls_client_ca else None
    except CertificateInvalid as error:
        fail(str(error))
    options = [("grpc.ssl_target_name_override", service.host.replace("*", "identity"))] if service.host else []
    key, chain = (shown.key, shown.chain) if shown else (None, None)
    credentials = grpc.ssl_channel_credentials(service.chain, key, chain)
    return grpc.secure_channel(target, credentials, options)
