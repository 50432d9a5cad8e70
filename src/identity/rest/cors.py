"""Which other origins' pages may call: those of an explicit list, and nobody else (N-31)."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import Response

from identity.rest.exchange import Exchange
from identity.rest.routing import Router

_HEADERS = "authorization, content-type, x-request-id, x-user-id, x-auth-return-redirect"
_EXPOSED = "retry-after, x-request-id"
_REMEMBERED_SECONDS = "600"


class Cors:
    """Answers preflights and marks answers, for the origins of the settings."""

    def __init__(self, origins: Iterable[str], router: Router) -> None:
        self._origins = frozenset(origins)
        self._router = router

    def preflight(self, exchange: Exchange) -> Response | None:
        """The answer to a preflight; None for every other request."""
        if exchange.method != "OPTIONS" or "access-control-request-method" not in exchange.headers:
            return None
        methods, _ = self._router.look(exchange.path)
        response = Response(status_code=204)
        if methods and exchange.headers.get("origin") in self._origins:
            response.headers["access-control-allow-methods"] = ", ".join(sorted(methods))
            response.headers["access-control-allow-headers"] = _HEADERS
            response.headers["access-control-max-age"] = _REMEMBERED_SECONDS
        return response

    def allow(self, response: Response, origin: str | None) -> None:
        """Let the page of a known origin read the answer."""
        if not self._origins:
            return
        response.headers.append("vary", "origin")
        if origin in self._origins:
            response.headers["access-control-allow-origin"] = str(origin)
            response.headers["access-control-allow-credentials"] = "true"
            response.headers["access-control-expose-headers"] = _EXPOSED
