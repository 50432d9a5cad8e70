"""Cookies, and whose pages may cause calls that carry them (SE-07). No other part of Identity knows either."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from starlette.responses import Response

from identity.rest.exchange import Exchange
from identity.rest.origins import own_origins
from identity.rest.refusals import PERMISSION_DENIED, Refusal
from identity.rest_settings import RestSettings

_is_token: Final = re.compile(r"[A-Za-z0-9._-]{1,4096}").fullmatch


def read(exchange: Exchange, name: str) -> str | None:
    """The value of a cookie; None without one, and for what can be no token of ours."""
    value = exchange.cookies.get(name, "")
    return value if _is_token(value) else None


def put(response: Response, settings: RestSettings, name: str, value: str, expires_at: Timestamp) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send, until a moment."""
    seconds = expires_at.seconds - int(datetime.now(UTC).timestamp())
    response.set_cookie(
        name, value, max_age=max(0, seconds), path="/", secure=settings.secure_cookies, httponly=True, samesite="lax"
    )


def drop(response: Response, settings: RestSettings, name: str) -> None:
    """Have the browser forget a cookie."""
    response.delete_cookie(name, path="/", secure=settings.secure_cookies, httponly=True, samesite="lax")


def prefixed(settings: RestSettings, name: str) -> str:
    """A name of our own choice with the prefix that ties a cookie to this host; browsers want TLS for it."""
    return f"__Host-{name}" if settings.secure_cookies else name


def require_known_origin(exchange: Exchange) -> None:
    """Let a call with cookies through if a page of ours or of a listed origin makes it.

    Raises a Refusal otherwise, also where no origin is told: browsers tell it with every call that changes something.
    """
    origin = exchange.header("origin")
    if origin is None or (origin not in exchange.settings.cors_origins and origin not in own_origins(exchange)):
        raise Refusal(
            PERMISSION_DENIED,
            "This call has to come from a page of this site: send its Origin header.",
            reason="PERMISSION_DENIED",
        )


def refuse_foreign_origin(exchange: Exchange) -> None:
    """Let a call with cookies through unless a page of an origin that nobody listed makes it.

    For products that have apps too: these tell no origin, and hold no cookies that another could make them send.
    """
    if exchange.header("origin") is not None:
        require_known_origin(exchange)
