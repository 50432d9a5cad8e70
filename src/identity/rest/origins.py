"""Whose pages may cause a request: browsers say where it comes from, and everybody else can say anything (SE-07)."""

from __future__ import annotations

from urllib.parse import urlsplit

from identity.rest.exchange import Exchange
from identity.rest.refusals import PERMISSION_DENIED, Refusal
from identity.rest_settings import is_loopback, origin_of


def require_own_page(exchange: Exchange) -> None:
    """Let a form through if a page of this very address sent it, whichever of its names was used.

    Another site's page could otherwise have a form filled in and sent by whoever looks at it, such as the first
    set-up from the one machine that needs no secret (AZ-06). Raises a Refusal.
    """
    site = exchange.header("sec-fetch-site")
    # Older browsers do not send the first; all of them tell the origin of a form.
    is_own = exchange.header("origin") in own_origins(exchange) if site is None else site == "same-origin"
    if not is_own:
        raise Refusal(
            PERMISSION_DENIED, "This form has to be sent from a page of this site.", reason="PERMISSION_DENIED"
        )


def names_this_machine(host: str) -> bool:
    """Whether a Host header is a name of this machine that no name server can give to somebody else's page."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises for what is none
        return is_loopback(parts.hostname or "")
    except ValueError:
        return False


def own_origins(exchange: Exchange) -> tuple[str, ...]:
    """The origin of the public URL; on this machine alone, also the address that was called."""
    settings, host = exchange.settings, exchange.headers.get("host", "")
    own = origin_of(settings.public_url)
    if settings.is_public or not names_this_machine(host):
        return (own,)
    return own, origin_of(f"{'https' if settings.rest_certificate else 'http'}://{host}")
