"""What holds for every request whoever answers it, and what the settings of a container make of it.

Nothing stands behind the container: what gets 503 was passed on.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.responses import Response
from tests.certificates import Authority
from tests.logs import captured_log, lines
from tests.rest.web import nobody_behind

from identity.rest.door import Door
from identity.rest.exchange import Exchange
from identity.rest.routing import Endpoint, Router
from identity.rest.upstream import open_upstream
from identity.settings import SettingsInvalid, load_rest_settings

SIGN_OUT = "/api/auth/signout"


async def test_TR_05_what_nobody_foresaw_is_logged_with_the_id_of_its_request() -> None:
    async def fail(exchange: Exchange) -> Response:
        raise ZeroDivisionError

    settings = load_rest_settings()
    upstream = open_upstream(settings)
    with captured_log() as (_, log):
        app = Door(settings, upstream, Router([Endpoint("GET", "/fails", fail)]))
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answer = await client.get("/fails", headers={"x-request-id": "mine"})
        (told,) = lines(log, event="request failed")
    await upstream.close()

    assert answer.status_code == 500
    assert (told["request_id"], f"ref={told['ref']}" in answer.text) == ("mine", True)


@pytest.mark.parametrize("upstream", ["identity.internal:50051", "10.0.0.5:50051", "dns:///identity:50051"])
def test_TR_01_the_service_is_not_called_in_plaintext_over_a_network(upstream: str) -> None:
    with pytest.raises(SettingsInvalid, match="IDENTITY_UPSTREAM_CA"):
        load_rest_settings(upstream=upstream)

    assert load_rest_settings(upstream=upstream, upstream_ca="ca.pem").upstream == upstream


@pytest.mark.parametrize(
    "upstream", ["127.0.0.1:1", "[::1]:1", "localhost:1", "dns:///localhost:1", "unix:/run/identity"]
)
def test_TR_01_the_service_on_this_machine_is_called_in_plaintext(upstream: str) -> None:
    assert load_rest_settings(upstream=upstream).upstream == upstream


@pytest.mark.parametrize(
    "public_url", ["https://ID.example.org", "https://id.example.org:443/", "HTTPS://id.example.org"]
)
async def test_SE_07_the_public_url_is_an_origin_however_it_is_spelled(public_url: str) -> None:
    async with nobody_behind(
        dialect="organization",
        public_url=public_url,
        rest_trusted_proxies="127.0.0.1",
        cors_origins="HTTPS://App.org:443",
    ) as client:
        client.headers["x-forwarded-for"] = "198.51.100.7"
        own = await client.post(SIGN_OUT, headers={"origin": "https://id.example.org"})
        listed = await client.post(SIGN_OUT, headers={"origin": "https://app.org"})
        other = await client.post(SIGN_OUT, headers={"origin": "https://id.example.org:444"})

    assert (own.status_code, listed.status_code, other.status_code) == (200, 200, 403)
    assert listed.headers["access-control-allow-origin"] == "https://app.org"


async def test_SE_07_where_the_container_speaks_tls_cookies_travel_over_tls_alone(tmp_path: Path) -> None:
    """Also where nobody has said what its public URL is."""
    pair = Authority(tmp_path).sign("127.0.0.1")
    async with nobody_behind(
        dialect="organization", rest_certificate=str(pair.certificate), rest_key=str(pair.key)
    ) as client:
        own = str(client.base_url).rstrip("/")
        answer = await client.post(SIGN_OUT, headers={"origin": own})
        plain = await client.post(SIGN_OUT, headers={"origin": own.replace("https", "http")})

    assert (answer.status_code, plain.status_code) == (200, 403)
    assert answer.headers["set-cookie"].startswith("__Host-session=")
    assert "Secure" in answer.headers["set-cookie"]
    assert "max-age" in answer.headers["strict-transport-security"]


async def test_SE_07_a_host_with_a_port_that_is_none_is_nobody() -> None:
    async with nobody_behind(dialect="organization") as client:
        answer = await client.post(SIGN_OUT, headers={"host": "localhost:99999", "origin": "http://localhost:99999"})

    assert answer.status_code == 403


async def test_a_link_of_a_mail_works_with_what_others_add_to_it() -> None:
    """The canonical API is strict; what a product's clients and mail programs append is left alone."""
    async with nobody_behind(dialect="tenant") as client:
        for query in ("token=abc&", "token=abc&1699", "utm&token=abc"):
            assert (await client.get(f"/auth/invite/validate?{query}")).status_code == 503
        assert (await client.get("/auth/invite/validate?token=abc&token=d")).status_code == 400
        assert (await client.get("/v1/setup?1699")).status_code == 400


async def test_the_documentation_works_below_a_path_of_a_proxy() -> None:
    async with nobody_behind(dialect="tenant") as client:
        for path in ("/docs", "/docs/tenant"):
            page = (await client.get(path)).text
            assert 'href="/' not in page
            assert 'docs/style.css"' in page
