"""The `identity` command: inside this process where that is all there is to it, else as a child.

A child is forked from a process that has everything loaded, or is a cold start as people make it, which takes ten times
as long.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

from tests.forks import FORKS
from typer.testing import CliRunner, Result

from identity.cli.app import app, main

READY = "Ctrl+C stops the service."
PATIENCE = 90


def call(*arguments: str) -> Result:
    """Run a command here; its settings are those of this process's environment."""
    return CliRunner().invoke(app, arguments, prog_name="identity")


def child(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command as people do, from a cold start, and wait for its end."""
    return subprocess.run(
        [sys.executable, "-m", "identity", *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Fork:
    """An `identity serve` in a fork, with what is needed of the manners of `Popen`."""

    def __init__(self, environment: Mapping[str, str], stderr: Path) -> None:
        ours, theirs = FORKS.Pipe(duplex=False)
        self._process = FORKS.Process(target=_serve, args=(environment, theirs, stderr))
        self._process.start()
        theirs.close()
        self.stdout: IO[str] = os.fdopen(os.dup(ours.fileno()))
        ours.close()

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        assert self._process.exitcode is not None, "it goes on"
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()


def _serve(environment: dict[str, str], stdout: Connection, stderr: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(stdout.fileno(), 1)
    with stderr.open("w") as log:
        os.dup2(log.fileno(), 2)
    sys.argv[1:] = ["serve"]
    main()


class Serving:
    """An `identity serve` that has said that it is ready."""

    def __init__(self, process: Fork | subprocess.Popen[str], address: str, introduction: str, log: Path) -> None:
        self.address = address
        self.introduction = introduction
        self._process = process
        self._log = log

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it still said."""
        assert self._process.stdout is not None
        rest = self._process.stdout.read()
        return self._process.wait(PATIENCE), rest

    @property
    def log(self) -> str:
        return self._log.read_text()


def serving(place: Path, **settings: str) -> AbstractContextManager[Serving]:
    """A child that serves until the block ends, unless it was ended before."""
    return _serving(place, Fork, settings)


def serving_from_cold(place: Path, **settings: str) -> AbstractContextManager[Serving]:
    """The same from a cold start, as people make it."""
    return _serving(place, _start_cold, settings)


@contextmanager
def _serving(
    place: Path, start: Callable[[dict[str, str], Path], Fork | subprocess.Popen[str]], settings: dict[str, str]
) -> Iterator[Serving]:
    settings = {"IDENTITY_DATA_DIR": str(place / "data"), "IDENTITY_GRPC_ADDRESS": free_address(), **settings}
    log = place / "log"
    process = start(environment(settings), log)
    try:
        yield Serving(process, settings["IDENTITY_GRPC_ADDRESS"], _introduction(process, log), log)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _start_cold(environment: Mapping[str, str], stderr: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "identity", "serve"]
    with stderr.open("w") as log:
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """What a child sees: this process's surroundings, with these settings and nothing else that would change it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("IDENTITY_", "GRPC_"))}
    return {**kept, **settings}


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _introduction(process: Fork | subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if READY in line:
            return said + process.stdout.readline()  # an empty one
    raise AssertionError(f"it ended with {process.wait()}: {log.read_text()}")
