"""The canonical API over HTTP: the contract's own paths, its answers, and errors in the shape of google.rpc.Status."""

from __future__ import annotations

from time import monotonic
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from tests.rest.web import Web
from tests.running import PASSWORD, bearer, new_email

from identity.rest.bindings import bindings
from identity.rest.routing import Endpoint, PathTaken, Router
from identity.rest.transcode.writing import writer
from identity_pb.v1 import session_service_pb2 as sessions


async def test_the_road_over_http(web: Web) -> None:
    """Register, prove the address, sign in, ask who one is, refresh, sign out: as over gRPC."""
    email = new_email()
    registered = await web.call("POST", "/v1/register", {"email": email, "password": PASSWORD, "firstName": "Ada"})
    assert registered["account"]["firstName"] == "Ada"
    token = await web.service.mailbox.token(email)
    assert (await web.call("POST", "/v1/email:verify", {"token": token}))["email"] == email
    signed_in = (await web.call("POST", "/v1/login", {"identifier": email, "password": PASSWORD}))["session"]

    access = signed_in["tokens"]["accessToken"]
    assert (await web.call("GET", "/v1/session", bearer=access))["account"]["email"] == email
    refreshed = await web.call(
        "POST", "/v1/session:refresh", {"refreshToken": signed_in["tokens"]["refreshToken"], "includeAccount": True}
    )
    assert refreshed["account"]["email"] == email
    assert await web.call("POST", "/v1/session:signOut", bearer=access) == {}
    ended = await web.call("GET", "/v1/session", bearer=access, status=401)
    assert reason(ended) == "SESSION_REVOKED"


async def test_an_answer_is_what_the_json_mapping_of_protobuf_prints(web: Web) -> None:
    access = await web.signed_in()

    over_http = await web.call("GET", "/v1/session", bearer=access)
    over_grpc = await web.service.sessions.GetSession(sessions.GetSessionRequest(), metadata=bearer(access))

    assert over_http == MessageToDict(over_grpc, always_print_fields_with_no_presence=True)
    assert writer(over_grpc.DESCRIPTOR)(over_grpc) == over_http


async def test_a_refusal_has_the_shape_of_google_rpc_status(web: Web) -> None:
    refused = await web.call("POST", "/v1/login", {"identifier": new_email(), "password": "wrong"}, status=401)

    assert refused == {
        "code": 16,
        "message": refused["message"],
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "INVALID_CREDENTIALS",
                "domain": "identity.v1",
                "metadata": {},
            }
        ],
    }


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"identifier": 5, "password": PASSWORD}, ["identifier"]),
        ({"identifier": "a@example.org", "passwort": PASSWORD}, ["passwort"]),
        ({"identifier": "a@example.org", "password": PASSWORD, "phone_country": "BE"}, ["phone_country"]),
        (
            {"identifier": "a@example.org", "password": PASSWORD, "device": {"nme": "x", "os": 1}},
            ["device.nme", "device.os"],
        ),
        ({"identifier": "a@example.org", "password": PASSWORD, "origin": 2}, ["origin"]),
        ({"identifier": "a@example.org", "password": PASSWORD, "remember": "true"}, ["remember"]),
        ({"identifier": "a@example.org"}, ["password"]),
    ],
)
async def test_bad_input_is_refused_by_the_name_of_its_field(web: Web, body: Any, fields: list[str]) -> None:
    refused = await web.call("POST", "/v1/login", body, status=400)

    assert reason(refused) == "INVALID_REQUEST"
    assert [violation["field"] for violation in refused["details"][1]["fieldViolations"]] == fields


@pytest.mark.parametrize(
    "body",
    [
        b"{", b"[]", b"5", b"null", b'"x"', b"{'identifier': 'x'}", b'{"identifier": "x",}', b"\xff{}", b'{"a": NaN}',
        b"[" * 100_000, b'{"a":' * 5000, b'{"identifier": "\\ud800", "password": "x"}',
        b'{"identifier": "x", "identifier": "y", "password": "z"}',
    ],
    ids=range(13),
)  # fmt: skip
async def test_N_50_N_51_what_is_no_json_is_refused_without_an_echo(web: Web, body: bytes) -> None:
    answer = await web.client.post("/v1/login", content=body, headers={"content-type": "application/json"})

    assert answer.status_code in (400, 413)
    assert reason(answer.json()) == "INVALID_REQUEST"


async def test_paths_methods_types_and_sizes_have_their_own_status(web: Web) -> None:
    assert reason(await web.call("GET", "/v1/nothing", status=404)) == "NOT_FOUND"
    put = await web.client.put("/v1/login", json={})
    assert (put.status_code, put.headers["allow"]) == (405, "POST")
    form = await web.client.post("/v1/login", data={"identifier": "x"})
    assert form.status_code == 415
    large = await web.client.post("/v1/login", content=b" " * 65_537, headers={"content-type": "application/json"})
    assert large.status_code == 413
    slash = await web.client.get("/v1%2Fsetup")
    assert slash.status_code == 400


async def test_TR_07_no_secret_binds_from_a_query(web: Web) -> None:
    refused = await web.call("POST", f"/v1/login?identifier=a@example.org&password={PASSWORD}", status=400)
    fields = [violation["field"] for violation in refused["details"][1]["fieldViolations"]]

    assert fields == ["identifier", "password"]
    secrets_in_queries = {
        (binding.verb, binding.path, field.name)
        for binding in bindings()
        for field in binding.query.values()
        if field.GetOptions().debug_redact
    }
    assert secrets_in_queries == {
        ("GET", "/v1/password:validateReset", "token"),
        ("GET", "/v1/invites:validate", "token"),
    }


async def test_answers_are_kept_by_nobody_and_carry_the_id_of_the_request(web: Web) -> None:
    answer = await web.client.get("/v1/setup", headers={"x-request-id": "abc-1"})

    assert answer.headers["x-request-id"] == "abc-1"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "server" not in answer.headers


async def test_no_answer_waits_for_the_client_to_acknowledge_its_head(web: Web) -> None:
    """Nagle's algorithm would hold each body back for 40 ms, as long as acknowledgements take on a warm connection."""
    for _ in range(20):
        await web.call("GET", "/v1/nothing", status=404)
    took = []
    for _ in range(20):
        begun = monotonic()
        await web.call("GET", "/v1/nothing", status=404)
        took.append(monotonic() - begun)

    assert min(took) < 0.035


def test_two_endpoints_cannot_share_a_method_and_a_path() -> None:
    async def answer(exchange: object) -> Any: ...

    with pytest.raises(PathTaken):
        Router([Endpoint("GET", "/v1/a/{id}", answer), Endpoint("GET", "/v1/a/{name}", answer)])


def reason(refused: Any) -> str:
    return str(refused["details"][0]["reason"])
