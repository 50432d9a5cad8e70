"""`identity rest` as people start it: what it says first, and what it refuses."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from tests.cli.command import call, environment, free_address


def test_TR_01_plaintext_to_another_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_UPSTREAM", "identity.internal:50051")

    result = call("rest")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "IDENTITY_UPSTREAM_CA" in result.stderr


def test_it_tells_of_variables_that_it_does_not_know_or_need() -> None:
    settings = {
        "IDENTITY_UPSTREM": "127.0.0.1:1",
        "IDENTITY_SECRET": "hunter2" * 8,
        "IDENTITY_REST_ADDRESS": free_address(),
    }
    command = [sys.executable, "-m", "identity", "rest"]
    with subprocess.Popen(command, env=environment(settings), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Dialect" in line:
                process.send_signal(signal.SIGTERM)

    assert process.returncode == 0
    assert "IDENTITY_UPSTREM is no setting; IDENTITY_UPSTREAM is" in said
    assert "IDENTITY_SECRET: for identity serve" in said
    assert "hunter2" not in said
