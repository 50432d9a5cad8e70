"""What a sign-in leaves in a browser, so that strangers' guesses do not hold its owner up the next time (LG-03)."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from starlette.responses import Response

from identity.rest import cookies
from identity.rest.exchange import Exchange
from identity_pb.v1.resources_pb2 import SessionResult

_NAME = "device"
_LONGER_THAN_SESSION = 30 * 86_400
"""Seconds for which a device stays known after its session has ended."""


def known_device(exchange: Exchange) -> str:
    """The token of an earlier sign-in in this browser; empty without one."""
    return cookies.read(exchange, cookies.prefixed(exchange.settings, _NAME)) or ""


def know_device(exchange: Exchange, response: Response, result: SessionResult) -> None:
    """Leave the token of this sign-in, also beyond its sign-out."""
    until = Timestamp(seconds=result.session.expires_at.seconds + _LONGER_THAN_SESSION)
    cookies.put(response, exchange.settings, cookies.prefixed(exchange.settings, _NAME), result.device_token, until)
