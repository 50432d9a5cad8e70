"""Which endpoint a method and a path lead to."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from starlette.responses import Response

from identity.rest.exchange import Exchange
from identity.rest.refusals import NOT_FOUND, UNIMPLEMENTED, Refusal, render

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What answers one method on one path, `/v1/sessions/{id}`, and how its door looks when it refuses."""

    method: str
    path: str
    answer: Callable[[Exchange], Awaitable[Response]]
    refuse: Callable[[Refusal], Response] = render


class PathTaken(Exception):
    """Two endpoints want one method on one path."""


class Router:
    """Finds endpoints. Raises PathTaken where one would hide another.

    `roots` tells how doors refuse what is below a path of theirs and leads to no endpoint.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        roots: Mapping[str, Callable[[Refusal], Response]] = MappingProxyType({}),
    ) -> None:
        self._roots = roots
        self._fixed: dict[str, dict[str, Endpoint]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Endpoint]]] = {}
        for endpoint in endpoints:
            methods = self._methods(endpoint.path)
            if endpoint.method in methods:
                raise PathTaken(f"{endpoint.method} {endpoint.path} is served twice")
            methods[endpoint.method] = endpoint

    def _methods(self, path: str) -> dict[str, Endpoint]:
        if "{" not in path:
            return self._fixed.setdefault(path, {})
        # Where a placeholder stands does not depend on its name.
        shape = _PLACEHOLDER.sub("{}", path)
        if shape not in self._patterns:
            literal = (re.escape(part) if n % 2 == 0 else f"(?P<{part}>[^/]+?)" for n, part in enumerate(_split(path)))
            self._patterns[shape] = (re.compile("".join(literal)), {})
        return self._patterns[shape][1]

    def find(self, method: str, path: str) -> tuple[Endpoint, Mapping[str, str]]:
        """The endpoint and the values of its placeholders. Raises a Refusal: 404, or 405 with what is allowed."""
        methods, params = self.look(path)
        if methods is None:
            raise Refusal(NOT_FOUND, "There is nothing at this path.", reason="NOT_FOUND")
        endpoint = methods.get("GET" if method == "HEAD" else method)
        if endpoint is None:
            allowed = sorted({*methods, *(["HEAD"] if "GET" in methods else [])})
            some = next(iter(methods.values()))
            raise MethodNotAllowed(some, allowed)
        return endpoint, params

    def refuse(self, path: str, refusal: Refusal) -> Response:
        """The answer to a request that led to no endpoint."""
        for root, refuse in self._roots.items():
            if path == root or path.startswith(f"{root}/"):
                return refuse(refusal)
        return render(refusal)

    def look(self, path: str) -> tuple[Mapping[str, Endpoint] | None, Mapping[str, str]]:
        """The endpoints of a path by method, or None."""
        if methods := self._fixed.get(path):
            return methods, {}
        for pattern, methods in self._patterns.values():
            if match := pattern.fullmatch(path):
                return methods, match.groupdict()
        return None, {}


class MethodNotAllowed(Refusal):
    """The path exists, and not for this method; `endpoint` is one that it exists for."""

    def __init__(self, endpoint: Endpoint, allowed: list[str]) -> None:
        super().__init__(
            UNIMPLEMENTED,
            "This method is not served at this path.",
            reason="INVALID_REQUEST",
            status=405,
            headers={"allow": ", ".join(allowed)},
        )
        self.endpoint = endpoint


def _split(path: str) -> list[str]:
    return _PLACEHOLDER.split(path)
