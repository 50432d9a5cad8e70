"""What Envoy does beside JSON: native gRPC, gRPC-Web, streams, hostile requests, and a service that goes away."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from tests.edge.conftest import Doors
from tests.edge.envoy import binary, envoy, prepare
from tests.running import PASSWORD, Client, Refusal, bearer, new_email, refused

from identity.domain.service_access import create_service_key, learn_service_keys
from identity_pb.v1 import auth_service_pb2 as auth
from identity_pb.v1 import session_service_pb2 as sessions


def channel(doors: Doors) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(doors.authority.certificate.read_bytes())
    return grpc.aio.secure_channel(f"localhost:{doors.address.rpartition(':')[2]}", credentials)


async def test_native_grpc_passes_with_its_details(doors: Doors) -> None:
    async with channel(doors) as through_envoy:
        client = Client(through_envoy)
        wrong = await refused(client.login("nobody@example.org", "wrong"))
        session = await client.login(doors.email, PASSWORD)
        mine = await client.get_session(session.tokens.access_token)

    assert isinstance(wrong, Refusal)
    assert (wrong.code, wrong.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_CREDENTIALS")
    assert mine.account.email == doors.email


async def test_grpc_web_passes(doors: Doors) -> None:
    """The text form, which browsers of every age can read: one frame of the answer, one of trailers."""
    message = auth.GetSetupStatusRequest().SerializeToString()
    frame = b"\0" + len(message).to_bytes(4, "big") + message

    answer = await doors.edge.client.post(
        "/identity.v1.AuthService/GetSetupStatus",
        content=base64.b64encode(frame),
        headers={"content-type": "application/grpc-web-text", "accept": "application/grpc-web-text"},
    )

    frames = b"".join(base64.b64decode(part) for part in _padded(answer.text))
    length = int.from_bytes(frames[1:5], "big")
    assert auth.GetSetupStatusResponse.FromString(frames[5 : 5 + length]).needs_setup
    assert b"grpc-status:0" in frames


async def test_a_stream_of_revocations_passes_natively_and_as_json(doors: Doors) -> None:
    key = create_service_key(doors.service.world, "edge", ["session:watch"])
    learn_service_keys(doors.service.world)
    async with channel(doors) as through_envoy:
        watch = Client(through_envoy).sessions.WatchRevocations(
            sessions.WatchRevocationsRequest(), metadata=bearer(key)
        )
        first = await watch.read()
        watch.cancel()
    assert first.snapshot or first.WhichOneof("event")

    headers = {"authorization": f"Bearer {key}"}
    async with doors.edge.client.stream("GET", "/v1/revocations:watch", headers=headers) as stream:
        assert stream.status_code == 200
        async for text in stream.aiter_text():
            if '"cursor"' in text:
                break


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/setup", {"x_underscore": "1"}),
        ("/v1/%2e%2e%2fsetup", {}),
        ("/v1/setup", {"x-large": "a" * 20_000}),
        ("/identity.v1.AuthService/Nothing", {}),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", {}),
        ("/admin", {}),
        ("/v1/setup", {"grpc-timeout": "99999999H"}),
    ],
)
async def test_TR_04_N_50_its_own_replies_are_json_without_an_echo(
    doors: Doors, path: str, headers: dict[str, str]
) -> None:
    answer = await doors.edge.client.get(path, headers=headers)

    assert answer.status_code < 500
    assert answer.headers["content-type"].startswith("application/json")
    assert "message" in answer.json() or answer.status_code == 200
    assert not {"server", "x-envoy-upstream-service-time", "grpc-accept-encoding"} & answer.headers.keys()


async def test_LG_04_a_client_cannot_say_where_it_comes_from(doors: Doors) -> None:
    """What a client says of itself is overwritten, so that its sign-in is noted under its own address."""
    body = {"identifier": doors.email, "password": PASSWORD}
    forged = {"x-client-ip": "6.6.6.6", "x-forwarded-for": "7.7.7.7"}

    session = (await doors.edge.call("POST", "/v1/login", body, headers=forged))["session"]

    assert session["session"]["ip"] == "127.0.0.1"


async def test_RC_04_no_header_changes_a_link(doors: Doors) -> None:
    email = new_email()
    doors.service.clock.advance(hours=2)
    headers = {
        "x-forwarded-host": "evil.example.org",
        "x-forwarded-proto": "http",
        "forwarded": "host=evil.example.org",
    }

    await doors.edge.call("POST", "/v1/register", {"email": email, "password": PASSWORD}, headers=headers)

    mail = await doors.service.mailbox.wait(email)
    assert "evil.example.org" not in mail.as_string()
    assert doors.service.service.settings.public_url in mail.as_string()


async def test_AV_02_a_service_that_is_away_is_503_in_json(doors: Doors, tmp_path: Path) -> None:
    """An Envoy whose service does not listen."""
    pair = doors.authority.sign("localhost")
    prepare(tmp_path, "127.0.0.1:1", doors.authority, pair, doors.authority.sign("envoy"))
    async with envoy(tmp_path, healthy=False) as address:
        url = f"https://localhost:{address.rpartition(':')[2]}"
        answers = [await doors.edge.client.get(f"{url}{path}") for path in ("/v1/setup", "/healthz")]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert (answers[0].json()["code"], answers[0].headers["retry-after"]) == (14, "1")


async def test_LO_01_the_access_log_holds_no_secret(doors: Doors) -> None:
    canary = "canary-of-the-edge"
    await doors.edge.client.get(f"/v1/password:validateReset?token={canary}")
    await doors.edge.client.get(f"/{canary}?token={canary}", headers={"authorization": f"Bearer {canary}"})
    await doors.edge.client.post("/v1/login", json={"identifier": canary, "password": canary})
    grpc_type = {"content-type": "application/grpc"}
    await doors.edge.client.post(f"/v1/login?password={canary}", headers=grpc_type)
    await doors.edge.client.get(f"/v1/password:validateReset?token={canary}", headers=grpc_type)
    log = doors.place / "log"
    expected = {"/identity.v1.AuthService/Login", "/v1/login", "/v1/password:validateReset"}
    for _ in range(200):
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        if expected <= {line["rpc"] for line in lines}:
            break
        await asyncio.sleep(0.05)  # Envoy writes its log now and then

    assert expected <= {line["rpc"] for line in lines}
    assert canary not in log.read_text()


def test_the_configuration_is_valid_as_it_stands(doors: Doors, tmp_path: Path) -> None:
    pair = doors.authority.sign("localhost")
    config = prepare(tmp_path, "127.0.0.1:1", doors.authority, pair, pair)
    done = subprocess.run(
        [str(binary()), "--mode", "validate", "--config-path", config.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, "deprecated" in done.stderr.lower()) == (0, False), done.stderr


def _padded(text: str) -> list[str]:
    """Base64 that was encoded in pieces: each ends with its own padding."""
    parts: list[str] = []
    rest: Any = text
    while rest:
        end = rest.find("=")
        end = len(rest) if end < 0 else end + (2 if rest[end : end + 2] == "==" else 1)
        parts.append(rest[:end])
        rest = rest[end:]
    return parts
