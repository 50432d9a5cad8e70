"""`/docs`: an OpenAPI document as one page of HTML, without a script and without a request to anybody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from functools import cache, partial
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from identity.rest.dialect import Dialect
from identity.rest.docs import openapi
from identity.rest.docs.reading import sections
from identity.rest.exchange import Exchange
from identity.rest.routing import Endpoint

_CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_KEPT = "public, max-age=300"

_html = Environment(
    loader=PackageLoader("identity.rest.docs"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def endpoints(product_name: str, dialect: Dialect | None) -> Iterable[Endpoint]:
    """The page and the document of the canonical API, and of the dialect that is served."""
    canonical = cache(openapi.canonical)
    links = [("/docs", "Identity"), *([(f"/docs/{dialect.name}", dialect.title)] if dialect else [])]
    yield Endpoint("GET", "/openapi.json", _told(lambda: _json(canonical())))
    yield Endpoint("GET", "/docs", _told(lambda: _page(canonical(), product_name, links, "/openapi.json", ".")))
    yield Endpoint("GET", "/docs/style.css", _told(_style))
    if dialect is not None:
        document, path = cache(partial(openapi.of_dialect, dialect)), f"/docs/{dialect.name}"
        yield Endpoint("GET", f"{path}/openapi.json", _told(lambda: _json(document())))
        yield Endpoint("GET", path, _told(lambda: _page(document(), product_name, links, f"{path}/openapi.json", "..")))


def _style() -> tuple[bytes, str]:
    return files("identity.rest.docs").joinpath("style.css").read_bytes(), "text/css; charset=utf-8"


def _page(
    document: dict[str, Any], product_name: str, links: list[tuple[str, str]], source: str, root: str
) -> tuple[bytes, str]:
    """The page. `root` leads from it to where this API begins, which may be below a path of a proxy's."""
    html = _html.get_template("docs.html").render(
        document=document, sections=sections(document), product_name=product_name, links=links, source=source, root=root
    )
    return html.encode(), "text/html; charset=utf-8"


def _json(document: dict[str, Any]) -> tuple[bytes, str]:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(), "application/json"


def _told(make: Callable[[], tuple[bytes, str]]) -> Callable[[Exchange], Awaitable[Response]]:
    """What is the same for everybody and as long as the process runs; made when somebody first asks, since it takes a
    while and most processes are never asked."""
    content = cache(make)
    headers = {"cache-control": _KEPT, "content-security-policy": _CSP}

    async def answer(exchange: Exchange) -> Response:
        body, media_type = await asyncio.to_thread(content)
        return Response(body, media_type=media_type, headers=headers)

    return answer
