"""The organization product's session: a cookie that holds both of its tokens, and what is told of it.

Reading it costs one call. When the access token has expired, the refresh token gets new ones; tabs that ask at the same
time get the same (SE-02).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from starlette.responses import Response

from identity.rest import cookies
from identity.rest.dialect import moment, reply
from identity.rest.dialects.organization_shapes import Nobody, Session, SessionUser
from identity.rest.exchange import Exchange
from identity.rest.refusals import Refusal
from identity_pb.v1 import resources_pb2 as resources
from identity_pb.v1 import session_service_pb2 as sessions

COOKIE: Final = "session"


class Held(NamedTuple):
    """What the cookie holds."""

    refresh_token: str
    access_token: str


async def tell(exchange: Exchange, _: None) -> Response:
    """Whose session it is, and nothing of its tokens (Z-27); an empty object without one."""
    held = _held(exchange)
    if held is None:
        return reply(Nobody())
    try:
        session, renewed = await _look(exchange, held)
    except Refusal as refusal:
        if not is_no_good(refusal):
            raise
        response = reply(Nobody())
        drop(exchange, response)
        return response
    account = session.account
    user = SessionUser(
        id=account.id,
        email=account.email or None,
        name=account.name,
        organization_id=session.tenant.id or None,
        role=session.membership.role.key,
    )
    response = reply(Session(user=user, expires=moment(session.expires_at)))
    if renewed is not None:
        keep(exchange, response, renewed)
    return response


async def end(exchange: Exchange) -> None:
    """End the session of the cookie on the server; one that is over or no session at all changes nothing."""
    held = _held(exchange)
    if held is None:
        return
    request = sessions.SignOutRequest(refresh_token=held.refresh_token)
    try:
        await exchange.call(exchange.upstream.sessions.SignOut, request, bearer=held.access_token)
    except Refusal as refusal:
        if not is_no_good(refusal):
            raise


def keep(exchange: Exchange, response: Response, tokens: resources.SessionTokens) -> None:
    """Have the browser hold the tokens of a session, until it is idle for too long."""
    until = tokens.refresh_expires_at if tokens.HasField("refresh_token") else tokens.access_expires_at
    value = f"{tokens.refresh_token}.{tokens.access_token}"
    cookies.put(response, exchange.settings, cookies.prefixed(exchange.settings, COOKIE), value, until)


def drop(exchange: Exchange, response: Response) -> None:
    """Have the browser forget them."""
    cookies.drop(response, exchange.settings, cookies.prefixed(exchange.settings, COOKIE))


def is_no_good(refusal: Refusal) -> bool:
    """Whether a refusal is about what is no token of ours, or none any more."""
    return refusal.status in (400, 401)


def _held(exchange: Exchange) -> Held | None:
    value = cookies.read(exchange, cookies.prefixed(exchange.settings, COOKIE))
    if value is None:
        return None
    refresh_token, _, access_token = value.partition(".")
    return Held(refresh_token, access_token)


async def _look(exchange: Exchange, held: Held) -> tuple[sessions.GetSessionResponse, resources.SessionTokens | None]:
    """The session, with new tokens if they were needed. It lives no longer in the end for being looked at (Z-27)."""
    get_session, asked = exchange.upstream.sessions.GetSession, sessions.GetSessionRequest()
    try:
        return await exchange.call(get_session, asked, bearer=held.access_token), None
    except Refusal as refusal:
        if refusal.status != 401:
            raise
    request = sessions.RefreshSessionRequest(refresh_token=held.refresh_token)
    tokens = (await exchange.call(exchange.upstream.sessions.RefreshSession, request, bearer="")).tokens
    return await exchange.call(get_session, asked, bearer=tokens.access_token), tokens
