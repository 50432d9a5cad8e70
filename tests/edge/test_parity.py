"""The container and Envoy answer alike: the same statuses, the same JSON, the same Retry-After.

Where they differ is listed here, and nowhere else: DIFFERENCES.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from tests.edge.conftest import Doors
from tests.edge.envoy import CONFIG
from tests.running import PASSWORD, new_email

from identity.rest.bindings import bindings

DIFFERENCES = {
    "the words of a request that cannot be read, and the fields in it": "Envoy's transcoder tells nobody which",
    "a field that is unknown, or of a type that can be converted": "Envoy takes it, the container refuses it",
    "405 and 415": "Envoy knows 404 only, and every content-type",
    "a body with a GET": "Envoy reads none, the container refuses it",
}


class Call(NamedTuple):
    """A request of the corpus; `as_somebody` sends it with an access token."""

    method: str
    path: str
    body: Any = None
    as_somebody: bool = False
    headers: dict[str, str] = {}  # noqa: RUF012


ALIKE = {
    "setup status": Call("GET", "/v1/setup"),
    "keys": Call("GET", "/.well-known/jwks.json"),
    "session": Call("GET", "/v1/session", as_somebody=True),
    "sessions": Call("GET", "/v1/sessions?pageSize=5", as_somebody=True),
    "tenant": Call("GET", "/v1/tenant", as_somebody=True),
    "roles": Call("GET", "/v1/roles", as_somebody=True),
    "factors": Call("GET", "/v1/factors", as_somebody=True),
    "push devices": Call("GET", "/v1/pushDevices", as_somebody=True),
    "no token": Call("GET", "/v1/session"),
    "a bad token": Call("GET", "/v1/session", headers={"authorization": "Bearer x"}),
    "a wrong password": Call("POST", "/v1/login", {"identifier": "nobody@example.org", "password": "wrong"}),
    "a rule of the contract": Call("POST", "/v1/login", {"identifier": "", "password": "x", "phoneCountry": "be"}),
    "a short password": Call("POST", "/v1/register", {"email": "short@example.org", "password": "short"}),
    "an unknown link": Call("POST", "/v1/email:verify", {"token": "A" * 43}),
    "an unknown link, looked at": Call("GET", f"/v1/password:validateReset?token={'A' * 43}"),
    "no permission": Call("GET", "/v1/accounts", as_somebody=True),
    "an id of nothing": Call("GET", "/v1/accounts/018f3c6e-7b1a-7c3d-9e2f-0123456789ab", as_somebody=True),
    "an id that is none": Call("DELETE", "/v1/sessions/x", as_somebody=True),
    "a custom verb": Call("POST", "/v1/factors/018f3c6e-7b1a-7c3d-9e2f-0123456789ab:remove", {}, as_somebody=True),
    "an empty object": Call("POST", "/v1/session:refresh", {}),
    "silence": Call("POST", "/v1/password:requestReset", {"identifier": "nobody@example.org"}),
    "a nested message": Call(
        "POST", "/v1/login", {"identifier": "a@example.org", "password": "x", "device": {"name": "ä", "os": "é"}}
    ),
}
SAME_STATUS = {
    "malformed": Call("POST", "/v1/login", "{"),
    "an array": Call("POST", "/v1/login", "[]"),
    "a wrong type": Call("POST", "/v1/login", {"identifier": {"a": 1}, "password": "x"}),
    "an unknown parameter": Call("GET", "/v1/setup?nothing=1"),
    "a secret in a query": Call("POST", f"/v1/login?identifier=a@example.org&password={PASSWORD}"),
    "a token in a query": Call("POST", f"/v1/email:verify?token={'A' * 43}"),
    "a query beside a body": Call("POST", "/v1/login?remember=true", {"identifier": "a@example.org", "password": "x"}),
    "no such path": Call("GET", "/v1/nothing"),
    "another case": Call("GET", "/v1/Setup"),
    "an escaped slash": Call("GET", "/v1%2Fsetup"),
    "too large": Call("POST", "/v1/login", {"identifier": "a" * 70_000, "password": "x"}),
}


@pytest.mark.parametrize("name", ALIKE)
async def test_TR_07_both_doors_give_the_same_answer(doors: Doors, name: str) -> None:
    call = ALIKE[name]
    access = await doors.access_token() if call.as_somebody else ""

    through_container, through_envoy = [await send(web.client, call, access) for web in (doors.container, doors.edge)]

    assert seen(through_envoy) == seen(through_container)


@pytest.mark.parametrize("name", SAME_STATUS)
async def test_TR_07_both_doors_refuse_the_same(doors: Doors, name: str) -> None:
    call = SAME_STATUS[name]

    through_container, through_envoy = [await send(web.client, call, "") for web in (doors.container, doors.edge)]

    assert through_envoy.status_code == through_container.status_code
    assert through_envoy.json()["code"] == through_container.json()["code"]
    assert PASSWORD not in through_envoy.text


async def test_both_doors_walk_the_road(doors: Doors) -> None:
    """What one door began the other goes on with, and what changes answers alike."""
    for web in (doors.container, doors.edge):
        email = new_email()
        assert (await web.call("POST", "/v1/register", {"email": email, "password": PASSWORD}))["account"]
        await web.call("POST", "/v1/email:verify", {"token": await doors.service.mailbox.token(email)})
        session = (await web.call("POST", "/v1/login", {"identifier": email, "password": PASSWORD}))["session"]
        again = await web.call("POST", "/v1/session:refresh", {"refreshToken": session["tokens"]["refreshToken"]})
        device = {"token": f"push-{email}", "platform": "PUSH_PLATFORM_IOS"}
        made = await web.call("POST", "/v1/pushDevices", device, bearer=again["tokens"]["accessToken"])
        assert (
            await web.call(
                "DELETE", f"/v1/pushDevices/{made['pushDevice']['id']}", bearer=again["tokens"]["accessToken"]
            )
            == {}
        )
        await web.call("POST", "/v1/session:signOut", {}, bearer=again["tokens"]["accessToken"])


async def test_LG_04_the_budget_of_a_source_is_one_at_both_doors_and_says_when_to_come_back(doors: Doors) -> None:
    doors.service.clock.advance(hours=2)
    for _ in range(40):
        refused = await send(doors.edge.client, registration(), "")
        if refused.status_code == 429:
            break

    through_container = await send(doors.container.client, registration(), "")

    assert refused.status_code == 429
    assert seen(through_container) == seen(refused)
    assert int(refused.headers["retry-after"]) > 0
    doors.service.clock.advance(hours=2)


def registration() -> Call:
    return Call("POST", "/v1/register", {"email": new_email(), "password": PASSWORD})


def seen(answer: Any) -> tuple[Any, ...]:
    return answer.status_code, answer.json(), answer.headers.get("retry-after"), answer.headers.get("cache-control")


async def send(client: Any, call: Call, access: str) -> Any:
    headers = call.headers | ({"authorization": f"Bearer {access}"} if access else {})
    if isinstance(call.body, str):
        return await client.request(
            call.method, call.path, content=call.body, headers=headers | {"content-type": "application/json"}
        )
    return await client.request(call.method, call.path, json=call.body, headers=headers)


def test_every_service_of_the_contract_stands_in_the_configuration() -> None:
    text = CONFIG.read_text(encoding="utf-8")
    services = {binding.method.containing_service.full_name for binding in bindings()}

    assert {line.strip("- \n") for line in text.splitlines() if line.strip().startswith("- identity.v1.")} == services
