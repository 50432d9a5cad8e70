"""All pages together, the one at `/` included: it says what this is to whoever comes by, and nothing of accounts."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import Response

from identity.rest.exchange import Exchange
from identity.rest.pages import accept_invite, reset_password, setup, unlock_account, verify_email
from identity.rest.pages.page import View, Visit, assets, endpoints_of, render
from identity.rest.routing import Endpoint
from identity.rest_settings import RestSettings

PAGES = (verify_email.PAGE, reset_password.PAGE, accept_invite.PAGE, unlock_account.PAGE, setup.PAGE)


def endpoints(settings: RestSettings) -> Iterable[Endpoint]:
    """Every page, and the two files that they refer to."""

    async def welcome(exchange: Exchange) -> Response:
        return render(View("welcome.html"), settings, Visit(exchange).language)

    yield Endpoint("GET", "/", welcome)
    for page in PAGES:
        yield from endpoints_of(page, settings)
    yield from assets()
