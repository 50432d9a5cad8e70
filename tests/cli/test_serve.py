"""`identity serve` as people and supervisors meet it: a process with an output, a health and signals."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from tests.certificates import Authority, Pair
from tests.cli.command import call, free_address, serving, serving_from_cold

from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1.auth_service_pb2_grpc import AuthServiceStub


def test_it_says_what_it_is_becomes_healthy_and_ends_well_on_sigterm(tmp_path: Path) -> None:
    http = free_address()
    mail = "smtp://somebody:hunter2@127.0.0.1:2525"
    with serving_from_cold(tmp_path, IDENTITY_MAIL_URL=mail, IDENTITY_REST_ADDRESS=http) as service:
        said = service.introduction
        assert f"{service.address}, plaintext, for this machine only, reflection on" in said
        assert f"SQLite, {tmp_path}/data/identity.db" in said
        assert "smtp://127.0.0.1:2525\n" in said
        assert "standard\n\n" in said
        assert f"Nobody has set this place up yet.\n  http://{http}/setup makes the first administrator" in said
        assert f"http://{service.address}/identity.v1.AuthService/GetSetupStatus" in said
        assert said.replace("\n", "").isprintable()  # no colours, since nobody looks

        assert call("health", "--address", service.address).output == f"{service.address}: SERVING\n"
        with grpc.insecure_channel(service.address) as channel:
            AuthServiceStub(channel).Setup(_wish())

        service.signal(signal.SIGTERM)
        assert service.end() == (0, "Stopped. Nothing that was acknowledged is lost.\n")
        gone = call("health", "--address", service.address)
        assert gone.exit_code == 1
        assert "does not answer" in gone.output
        assert "hunter2" not in said + service.log


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """A call that is never done would keep it for as long as the settings allow."""
    with (
        serving(tmp_path, IDENTITY_SHUTDOWN_SECONDS="30") as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        stub: Any = HealthStub(channel)
        watch = stub.Watch(HealthCheckRequest())
        assert next(watch).status == HealthCheckResponse.SERVING

        service.signal(signal.SIGTERM)
        assert next(watch).status == HealthCheckResponse.NOT_SERVING  # before it refuses anything
        service.signal(signal.SIGTERM)  # at once: the same one, sent to the process group
        time.sleep(1)
        service.signal(signal.SIGTERM)

        assert service.end() == (128 + signal.SIGTERM, "")
        watch.cancel()


def test_what_is_worth_knowing_is_said_at_every_start(tmp_path: Path) -> None:
    """Departures from requirements, misspelt variables; and no word of a set-up that is done."""
    policy = '{"lifetimes": {"access_token": "PT8H"}}'
    with serving(tmp_path, IDENTITY_POLICY=policy, IDENTITY_MAILURL="x") as service:
        with grpc.insecure_channel(service.address) as channel:
            AuthServiceStub(channel).Setup(_wish())
        service.signal(signal.SIGINT)
        assert service.end()[0] == 0
        [logged] = [json.loads(line) for line in service.log.splitlines() if "deviation" in line]

        assert "standard\n            JW-03: access tokens live over 15 minutes\n" in service.introduction
        assert (logged["event"], logged["requirement"], logged["level"]) == ("deviation", "JW-03", "warning")
        assert "IDENTITY_MAILURL is no setting; IDENTITY_MAIL_URL is" in service.introduction

    with serving(tmp_path) as service:
        assert "set this place up" not in service.introduction


def test_an_address_for_the_network_needs_tls_and_the_bootstrap_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret stands on the console, Setup asks for it, and the probe shows and trusts the service's certificate."""
    port = free_address().rpartition(":")[2]
    authority = Authority(tmp_path)
    server, client, stranger = authority.sign("id.example.org"), authority.sign("backend"), Authority(tmp_path, "other")
    settings = {
        "IDENTITY_GRPC_ADDRESS": f"0.0.0.0:{port}",
        "IDENTITY_TLS_CERTIFICATE": str(server.certificate),
        "IDENTITY_TLS_KEY": str(server.key),
        "IDENTITY_TLS_CLIENT_CA": str(authority.certificate),
    }
    with serving(tmp_path, **settings) as service:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        assert call("health").output == f"127.0.0.1:{port}: SERVING\n"
        assert call("health", *_showing(client)).output == f"127.0.0.1:{port}: SERVING\n"
        refused = call("health", *_showing(stranger.sign("backend")))
        assert refused.exit_code == 1
        assert "It asks for client certificates: --certificate and --key." in refused.output
        assert "give both or none" in call("health", "--key", str(client.key)).output

        assert "TLS, client certificates required, for the network, reflection off" in service.introduction
        told = service.introduction.partition("with this bootstrap secret:\n")[2].split()[0]
        options = [("grpc.ssl_target_name_override", "id.example.org")]
        credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes(), *client.pem)
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
            setup = AuthServiceStub(channel).Setup
            from_afar = (("x-client-ip", "203.0.113.7"),)
            with pytest.raises(grpc.RpcError, match="bootstrap secret"):
                setup(_wish(), metadata=from_afar)
            setup(_wish(bootstrap_secret=told), metadata=from_afar)
        assert told not in service.log


def _showing(pair: Pair) -> tuple[str, ...]:
    return ("--certificate", str(pair.certificate), "--key", str(pair.key))


def _wish(bootstrap_secret: str | None = None) -> auth.SetupRequest:
    return auth.SetupRequest(
        email="grace@example.org",
        password="a quiet river at dawn",
        tenant_name="Harbour Works",
        bootstrap_secret=bootstrap_secret,
    )
