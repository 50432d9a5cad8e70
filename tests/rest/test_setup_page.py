"""`/setup`: the first run in a browser, which is open once, and on this machine without a secret (AZ-06)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from sqlalchemy import func, select
from tests.conftest import Launch
from tests.rest.sheet import Sheet, visit
from tests.rest.web import Web, browsing
from tests.running import PASSWORD, Running

from identity.rest.listener import Listener
from identity.settings import load_rest_settings
from identity.store.tables import sessions

WISH = {"name": "Grace Hopper", "email": "grace@example.org", "password": PASSWORD, "tenant_name": "Harbour <Works>"}


async def test_AZ_06_the_first_run_on_this_machine(launch: Launch) -> None:
    """A page of another site, in the browser that needs no secret, gets nowhere; who is there gets it done, once."""
    service = await launch(rest_address="127.0.0.1:0")
    async with browsing(service) as web:
        foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        refused = Sheet(web.client, await web.client.post("/setup", data=WISH, headers=foreign))
        assert (refused.status, len(refused.alerts)) == (403, 1)
        assert refused.form.fields == {"name": "", "email": "", "password": "", "tenant_name": ""}

        form = await visit(web.client, "/setup")
        assert list(form.form.fields) == ["name", "email", "password", "tenant_name"]
        short = await form.send(**{**WISH, "password": "short"})
        assert (short.status, list(short.faults)) == (400, ["password"])
        assert short.form.fields == {**WISH, "password": ""}
        done = await short.send(password=PASSWORD)

        assert (done.status, done.heading) == (200, "Harbour <Works> is ready")
        assert open_sessions(service) == 0
        signed_in = await service.login("grace@example.org")
        assert signed_in.membership.role.key == "admin"
        assert (signed_in.account.name, signed_in.account.locale) == ("Grace Hopper", "en")
        for closed, status in ((await visit(web.client, "/setup"), 200), (await form.send(**WISH), 400)):
            assert (closed.status, closed.heading, closed.forms) == (status, "This is set up already", [])


PROXIED = {"rest_trusted_proxies": "127.0.0.0/8"}
AFAR = {"x-forwarded-for": "203.0.113.7"}
ELSEWHERE: tuple[tuple[dict[str, str], list[dict[str, str]]], ...] = (
    # What came through somebody; and a page whose name leads here, in a browser of this machine.
    (
        {},
        [AFAR, {"via": "1.1 proxy"}, {"host": "evil.example:8080"}, {"host": "127.0.0.1.evil.example"}, {"host": "]["}],
    ),
    ({"public_url": "https://id.example.org"}, [{}]),
    (PROXIED, [AFAR]),
)


async def test_AZ_06_from_anywhere_else_the_secret_of_the_console_is_asked_for(launch: Launch) -> None:
    service = await launch()
    secret = service.service.open_setup_secret
    for settings, requests in ELSEWHERE:
        async with container(service, **settings) as web:
            for headers in requests:
                web.client.headers = httpx.Headers(headers)
                wrong = await (await visit(web.client, "/setup")).send(**WISH, bootstrap_secret="wrong")
                assert (wrong.status, list(wrong.faults)) == (403, ["bootstrap_secret"]), (settings, headers)
                assert await over_the_api(web) == "BOOTSTRAP_SECRET_INVALID"

    async with container(service, **PROXIED) as web:
        web.client.headers = httpx.Headers(AFAR)
        done = await (await visit(web.client, "/setup")).send(**WISH, bootstrap_secret=f" {secret} ")
    assert (done.status, done.heading) == (200, "Harbour <Works> is ready")


@asynccontextmanager
async def container(service: Running, **settings: str) -> AsyncIterator[Web]:
    """A container of its own before a service, and a client of it."""
    upstream = service.service.address
    listener = Listener(load_rest_settings(rest_address="127.0.0.1:0", upstream=upstream, **settings))
    await listener.start()
    async with httpx.AsyncClient(base_url=f"http://{listener.address}", trust_env=False, timeout=20) as client:
        yield Web(client, service)
    await listener.stop()


async def over_the_api(web: Web) -> str:
    wish = {"email": WISH["email"], "password": PASSWORD, "tenantName": "Acme"}
    return str((await web.call("POST", "/v1/setup", wish, status=403))["details"][0]["reason"])


def open_sessions(service: Running) -> int:
    query = select(func.count()).select_from(sessions).where(sessions.c.revoked_at.is_(None))
    return int(service.rows(query)[0][0])
