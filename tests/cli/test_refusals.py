"""A start that would be unsafe, or cannot work, is refused: one plain message with what to do, and exit code 2."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.cli.command import call, child

from identity.rpc import log

IN_USE = "cannot be served on: is another process using it?"
CASES = {
    "plaintext on a public address": (
        {"IDENTITY_GRPC_ADDRESS": "0.0.0.0:50051"},
        "IDENTITY_TLS_CERTIFICATE and IDENTITY_TLS_KEY",
    ),
    "client certificates without TLS": ({"IDENTITY_TLS_CLIENT_CA": "ca.pem"}, "IDENTITY_TLS_CERTIFICATE"),
    "PostgreSQL without a secret": (
        {"IDENTITY_DATABASE_URL": "postgresql://identity@127.0.0.1/identity"},
        "IDENTITY_SECRET is required",
    ),
    "a secret that is too short": ({"IDENTITY_SECRET": "hunter2"}, "openssl rand"),
    "a cost below the floor": ({"IDENTITY_BCRYPT_COST": "9"}, "IDENTITY_BCRYPT_COST"),
    "a preset that is not there": ({"IDENTITY_PRESET": "standart"}, "Choose one of: "),
    "a mail URL of no kind": ({"IDENTITY_MAIL_URL": "carrier-pigeon://hunter2@loft"}, "IDENTITY_MAIL_URL"),
    "a sender that is no address": ({"IDENTITY_MAIL_FROM": "Identity"}, "no-reply@your.domain"),
    "a database of no kind": (
        {"IDENTITY_DATABASE_URL": "mysql://identity:hunter2@db/identity", "IDENTITY_SECRET": "x" * 32},
        "neither sqlite:/// nor postgresql://",
    ),
    "a port that is none": ({"IDENTITY_GRPC_ADDRESS": "127.0.0.1:99999"}, "neither HOST:PORT nor unix:PATH"),
    "a policy that is no JSON": ({"IDENTITY_POLICY": '{"password'}, "policy"),
    "a policy that says nothing known": ({"IDENTITY_POLICY": '{"roles": {"user": 3}}'}, "roles.user"),
    "a configuration file that is not there": ({"IDENTITY_CONFIG": "nowhere.toml"}, "nowhere.toml"),
}


@pytest.fixture(autouse=True)
def _log_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What serves configures the log of its process, which is the tests' here."""
    monkeypatch.setattr(log, "configure", lambda **_: log.log_call)


@pytest.mark.parametrize("case", CASES)
def test_refused_with_what_to_do(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, advice = CASES[case]
    monkeypatch.setenv("IDENTITY_DATA_DIR", str(tmp_path / "data"))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    result = call("serve")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("identity: ")
    assert advice in result.stderr
    assert "Traceback" not in result.stderr
    assert "hunter2" not in result.stderr


def test_a_process_is_refused_as_the_function_is(tmp_path: Path) -> None:
    done = child("serve", IDENTITY_DATA_DIR=str(tmp_path / "data"), IDENTITY_GRPC_ADDRESS="0.0.0.0:50051")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("identity: IDENTITY_GRPC_ADDRESS=0.0.0.0:50051 is not loopback")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        done = child("serve", IDENTITY_DATA_DIR=str(tmp_path / "data"), IDENTITY_GRPC_ADDRESS=address)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"identity: IDENTITY_GRPC_ADDRESS={address} {IN_USE}\n"


def test_another_secret_than_before_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_DATA_DIR", str(tmp_path))
    assert call("migrate").exit_code == 0
    assert call("keys", "rotate").exit_code == 0

    monkeypatch.setenv("IDENTITY_SECRET", "b" * 32)
    done = call("serve")

    assert (done.exit_code, done.stdout) == (2, "")
    assert "another secret" in done.stderr


def test_a_database_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is wrong with the settings as such, hence another exit code."""
    monkeypatch.setenv("IDENTITY_DATABASE_URL", "postgresql://identity:hunter2@127.0.0.1:1/identity")
    monkeypatch.setenv("IDENTITY_SECRET", "x" * 32)

    done = call("serve")

    assert (done.exit_code, done.stdout) == (1, "")
    assert "out of reach" in done.stderr.splitlines()[-1]
    assert "hunter2" not in done.stderr
