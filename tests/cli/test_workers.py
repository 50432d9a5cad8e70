"""`identity serve --workers N`: several processes that begin and end as one."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import typer
from tests.cli.command import PATIENCE, call
from tests.forks import FORKS
from tests.postgres import migrated_database

from identity.cli import workers
from identity.cli.workers import settings_of
from identity.settings import Settings, SettingsInvalid, load_settings
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1.auth_service_pb2_grpc import AuthServiceStub

SETTINGS = {"secret": "a master secret that only the tests know", "log_level": "error"}
STOPPED = "Stopped. Nothing that was acknowledged is lost."


class Family:
    """A parent and its two workers, forked from a process that has imported everything."""

    def __init__(self, place: Path, database_url: str) -> None:
        self.addresses = addresses = two_addresses()
        self._output = place / "output"
        settings = {**SETTINGS, "database_url": database_url, "grpc_address": addresses[0]}
        self.parent: Any = FORKS.Process(target=_parent, args=(settings, self._output))
        self.parent.start()

    @property
    def output(self) -> str:
        """What they have said so far."""
        return self._output.read_text()


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    with migrated_database() as url:
        family = Family(tmp_path, url)
        for address in family.addresses:
            await_health(address)
        yield family
        family.parent.kill()
        family.parent.join()


def test_each_answers_on_a_port_of_its_own_and_all_end_well_on_sigterm(family: Family) -> None:
    first, second = family.addresses
    with grpc.insecure_channel(first) as one, grpc.insecure_channel(second) as other:
        wish = auth.SetupRequest(email="g@example.org", password="a quiet river at dawn", tenant_name="Harbour")
        AuthServiceStub(one).Setup(wish)
        assert not AuthServiceStub(other).GetSetupStatus(auth.GetSetupStatusRequest()).needs_setup

    family.parent.terminate()
    family.parent.join(PATIENCE)

    assert (family.parent.exitcode, family.output.count(STOPPED)) == (0, 2)
    assert family.output.count("Identity ") == 1  # one introduces all of them
    assert [call("health", "--address", address).exit_code for address in (first, second)] == [1, 1]


def test_one_that_ends_by_itself_ends_the_others_loudly(family: Family) -> None:
    """Nothing is restarted in silence: whoever supervises the parent sees that it ended, and why."""
    pid = re.search(r"Worker 2 .* process (\d+)", family.output)
    assert pid is not None

    os.kill(int(pid[1]), signal.SIGKILL)
    family.parent.join(PATIENCE)

    assert family.parent.exitcode == 128 + signal.SIGKILL
    assert "Worker 2 ended by itself, so that the others stop too." in family.output
    assert family.output.count(STOPPED) == 1


def test_without_their_parent_they_end_too(family: Family) -> None:
    family.parent.kill()
    give_up_at = time.monotonic() + PATIENCE
    while family.output.count(STOPPED) < 2:
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


def test_an_embedded_database_has_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_DATA_DIR", str(tmp_path))

    result = call("serve", "--workers", "2")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "Several workers need PostgreSQL" in result.stderr


def test_each_has_addresses_of_its_own_and_its_share_of_the_cores() -> None:
    given = {"rest_address": "127.0.0.1:8080", "metrics_address": "127.0.0.1:0", "hashing_threads": 8}
    third = settings_of(_settings(grpc_address="unix:/run/identity.sock", **given), 3, 4)

    assert (third.grpc_address, third.rest_address) == ("unix:/run/identity.sock.2", "127.0.0.1:8082")
    assert (third.metrics_address, third.hashing_threads) == ("127.0.0.1:0", 8)
    assert settings_of(_settings(), 1, 64).hashing_threads == 1
    with pytest.raises(SettingsInvalid, match="not enough ports"):
        settings_of(_settings(grpc_address="127.0.0.1:65535"), 2, 2)


def _settings(**given: object) -> Settings:
    return load_settings(database_url="postgresql://identity@db/identity", secret="x" * 32, **given)


def await_health(address: str) -> None:
    """Returns when a worker serves: they do not start at the same moment."""
    give_up_at = time.monotonic() + PATIENCE
    while call("health", "--address", address).exit_code:
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


def two_addresses() -> tuple[str, str]:
    """An address whose port is free, and the one behind it, which is free too."""
    while True:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                other.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"


def _parent(settings: dict[str, Any], output: Path) -> None:
    """What runs in the parent."""
    with output.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        workers.run(Settings(**settings), 2)
    except typer.Exit as end:
        sys.exit(end.exit_code)
