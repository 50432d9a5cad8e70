"""The `identity` command: inside this process where that is all there is to it, else as a child."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from typer.testing import CliRunner, Result

from identity.cli.app import app

READY = "Ctrl+C stops the service."
PATIENCE = 90


def call(*arguments: str) -> Result:
    """Run a command here; its settings are those of this process's environment."""
    return CliRunner().invoke(app, arguments, prog_name="identity")


def child(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command as people do, and wait for its end."""
    return subprocess.run(
        [sys.executable, "-m", "identity", *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Serving:
    """An `identity serve` that has said that it is ready."""

    def __init__(self, process: subprocess.Popen[str], address: str, introduction: str, log: Path) -> None:
        self.address = address
        self.introduction = introduction
        self._process = process
        self._log = log

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it still said."""
        rest, _ = self._process.communicate(timeout=PATIENCE)
        return self._process.returncode, rest

    @property
    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def serving(place: Path, **settings: str) -> Iterator[Serving]:
    """A child that serves until the block ends, unless it was ended before."""
    settings = {"IDENTITY_DATA_DIR": str(place / "data"), "IDENTITY_GRPC_ADDRESS": free_address(), **settings}
    log = place / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "identity", "serve"],
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        yield Serving(process, settings["IDENTITY_GRPC_ADDRESS"], _introduction(process, log), log)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """What a child sees: this process's surroundings, with these settings and nothing else that would change it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("IDENTITY_", "GRPC_"))}
    return {**kept, **settings}


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _introduction(process: subprocess.Popen[str], log: Path) -> str:
    stdout: IO[str] | None = process.stdout
    assert stdout is not None
    said = ""
    for line in stdout:
        said += line
        if READY in line:
            return said
    raise AssertionError(f"it ended with {process.wait()}: {log.read_text()}")
