"""The ASGI application: what holds for every request, whoever answers it."""

from __future__ import annotations

import re
from itertools import count
from secrets import token_hex
from time import perf_counter
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from identity.rest.client_address import ClientAddress
from identity.rest.cors import Cors
from identity.rest.exchange import ClientLeft, Exchange
from identity.rest.origins import names_this_machine
from identity.rest.refusals import INTERNAL, Refusal, invalid, overloaded
from identity.rest.routing import MethodNotAllowed, Router
from identity.rest.upstream import Upstream
from identity.rest_settings import RestSettings, is_loopback

MOST_AT_ONCE = 800
"""Requests in progress, streams among them; fewer than connections, so that who comes next is told."""

_is_request_id: Final = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_ESCAPED_SLASH: Final = re.compile(rb"%(2[fF]|5[cC])")
_FORWARDED: Final = ("x-forwarded-for", "forwarded", "x-real-ip", "via")


class Door:
    """Identifies, bounds, routes, answers and logs; never lets an exception out (TR-05)."""

    def __init__(self, settings: RestSettings, upstream: Upstream, router: Router) -> None:
        self._settings = settings
        self._upstream = upstream
        self._router = router
        self._addresses = ClientAddress(settings.rest_trusted_proxies)
        self._cors = Cors(settings.cors_origins, router)
        self._behind_nobody = not settings.is_public and not settings.rest_trusted_proxies
        self._headers = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            *([(b"strict-transport-security", b"max-age=31536000")] if settings.secure_cookies else []),
        ]
        self._ids = map(f"{token_hex(6)}-{{:x}}".format, count(1))
        self._under_way = 0
        self._log = structlog.get_logger("identity.rest")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        begun = perf_counter()
        headers = Headers(scope=scope)
        wanted = headers.get("x-request-id", "")
        request_id = wanted if _is_request_id(wanted) else next(self._ids)
        self._under_way += 1
        try:
            route, response = await self._respond(scope, receive, headers, request_id)
            if response is not None:
                self._finish(response, headers, request_id)
                await response(scope, receive, send)
        finally:
            self._under_way -= 1
        self._report(scope["method"], route, response, begun, request_id)

    async def _respond(
        self, scope: Scope, receive: Receive, headers: Headers, request_id: str
    ) -> tuple[str, Response | None]:
        """The path of the endpoint and its answer, or any other answer; none for a client that left."""
        try:
            if self._under_way > MOST_AT_ONCE:
                raise overloaded()
            client = self._client(scope, headers)
            exchange = Exchange(
                scope, receive, self._upstream, self._settings, request_id=request_id, client_address=client
            )
            if _ESCAPED_SLASH.search(scope["raw_path"]):
                raise invalid("A path with an escaped slash is not served.")
            return await self._answer(exchange)
        except Refusal as refusal:
            return "", self._router.refuse(scope["path"], refusal)
        except ClientLeft:
            return "", None

    async def _answer(self, exchange: Exchange) -> tuple[str, Response]:
        if preflight := self._cors.preflight(exchange):
            return "", preflight
        try:
            endpoint, exchange.params = self._router.find(exchange.method, exchange.path)
        except MethodNotAllowed as refusal:
            return refusal.endpoint.path, refusal.endpoint.refuse(refusal)
        try:
            return endpoint.path, await endpoint.answer(exchange)
        except Refusal as refusal:
            return endpoint.path, endpoint.refuse(refusal)
        except ClientLeft:
            raise
        except Exception:
            return endpoint.path, endpoint.refuse(self._internal(exchange.request_id))

    def _client(self, scope: Scope, headers: Headers) -> str | None:
        """The client's address; None for somebody at this machine, where nobody else can come from (AZ-06).

        Nor can a page of somebody else's, whose name is made to lead to this machine while a browser here shows it.
        """
        peer = scope["client"][0] if scope.get("client") else ""
        if (
            self._behind_nobody
            and is_loopback(peer)
            and names_this_machine(headers.get("host", ""))
            and not any(name in headers for name in _FORWARDED)
        ):
            return None
        return self._addresses.read(peer, headers.getlist("x-forwarded-for"))

    def _internal(self, request_id: str) -> Refusal:
        """What is told of an exception that nobody foresaw: a reference to the log, and nothing else (TR-05)."""
        ref = token_hex(8)
        self._log.error("request failed", ref=ref, request_id=request_id, exc_info=True)
        return Refusal(INTERNAL, f"internal error; ref={ref}", reason="INTERNAL", metadata={"ref": ref})

    def _finish(self, response: Response, headers: Headers, request_id: str) -> None:
        response.raw_headers.extend(self._headers)
        response.raw_headers.append((b"x-request-id", request_id.encode()))
        if "cache-control" not in response.headers:
            # Answers hold tokens and people's data; what may be kept says so itself (RC-06).
            response.headers["cache-control"] = "no-store"
        self._cors.allow(response, headers.get("origin"))

    def _report(self, method: str, route: str, response: Response | None, begun: float, request_id: str) -> None:
        self._log.info(
            "request",
            method=method if method.isalpha() and len(method) < 12 else "?",
            route=route,  # a template or nothing, never the path: it may hold anything (LO-02)
            status=response.status_code if response else 499,
            duration_ms=round((perf_counter() - begun) * 1000, 3),
            request_id=request_id,
        )
