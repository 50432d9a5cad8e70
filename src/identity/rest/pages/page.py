"""What all pages have in common: who may send their forms, what is shown, and under which headers."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from typing import Any, TypeVar

import grpc.aio
from google.protobuf.message import Message
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from identity.rest.exchange import Exchange
from identity.rest.origins import require_own_page
from identity.rest.pages.problems import NONE, explain
from identity.rest.pages.words import FALLBACK, TEXTS, Words, choose_language
from identity.rest.refusals import Refusal, headers_of
from identity.rest.routing import Endpoint
from identity.rest_settings import RestSettings
from identity_pb.v1.session_service_pb2 import SignOutRequest

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)

# Everything from here and nothing inline; nobody may frame a page to have its button pressed.
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}
_KEPT = "public, max-age=31536000, immutable"

_html = Environment(
    loader=PackageLoader("identity.rest.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Visit:
    """Somebody at a page: their language, and what they filled in, which is nothing when they only look."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.form: Mapping[str, str] = {}
        # A proxy in front may ask for credentials of its own, which browsers repeat: they are not for the service.
        exchange.bearer = None

    @cached_property
    def language(self) -> str:
        """`?lang=`, or what the browser prefers."""
        wanted = None
        with suppress(Refusal):  # what trackers append to links is no reason to turn anybody away
            wanted = self.exchange.parameter("lang")
        return choose_language(wanted, self.exchange.headers.get("accept-language", ""))

    def text(self, name: str) -> str:
        """A field, without the space that comes along when people copy; empty if it is not there."""
        return self.form.get(name, "").strip()

    def password(self, name: str) -> str:
        """A field as it was typed."""
        return self.form.get(name, "")

    async def call(
        self,
        rpc: grpc.aio.UnaryUnaryMultiCallable[Request, Reply],
        request: Request,
        *,
        bearer: str | None = None,
    ) -> Reply:
        """Make one RPC. Raises a Refusal."""
        return await self.exchange.call(rpc, request, bearer=bearer)

    async def leave(self, access_token: str) -> None:
        """End a session that came of a form: nobody keeps its tokens."""
        with suppress(Refusal):  # it ends by itself when its access token does
            await self.call(self.exchange.upstream.sessions.SignOut, SignOutRequest(), bearer=access_token)


@dataclass(frozen=True, slots=True)
class View:
    """What is shown: a template with values, and what a form was refused for."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    refusal: Refusal | None = None


Handler = Callable[[Visit], Awaitable[View]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page with a form: `submit` answers the form, and `show` whoever only looks, by default with `template`.

    A Refusal of `submit` is told on what `show` shows.
    """

    path: str
    template: str
    submit: Handler
    show: Handler | None = None


def done(name: str, *, link: str = "", refusal: Refusal | None = None, **values: object) -> View:
    """The end of a road: the texts `title`, `text` and `next` below a name, and perhaps a link to go on with."""
    return View("done.html", {"name": name, "link": link, "values": values}, refusal)


def endpoints_of(page: Page, settings: RestSettings) -> Iterable[Endpoint]:
    """The page itself and its form. Forms go to the path they came from, below whatever a proxy puts in front."""

    async def first(visit: Visit) -> View:
        try:
            return await page.show(visit) if page.show else View(page.template)
        except Refusal as refusal:
            return View("problem.html", refusal=refusal)

    async def look(exchange: Exchange) -> Response:
        visit = Visit(exchange)
        return render(await first(visit), settings, visit.language)

    async def send(exchange: Exchange) -> Response:
        visit = Visit(exchange)
        try:
            require_own_page(exchange)
            visit.form = await exchange.form()
            view = await page.submit(visit)
        except Refusal as refusal:
            view = replace(await first(visit), refusal=refusal)
        return render(view, settings, visit.language, visit.form)

    def refuse(refusal: Refusal) -> Response:
        return render(View("problem.html", refusal=refusal), settings, FALLBACK)

    yield Endpoint("GET", page.path, look, refuse)
    yield Endpoint("POST", page.path, send, refuse)


def render(view: View, settings: RestSettings, language: str, form: Mapping[str, str] | None = None) -> Response:
    """A view as HTML. `form` is what was sent, absent where nothing was."""
    words = Words(language, settings.product_name)
    html = _html.get_template(view.template).render(
        view.values,
        say=words,
        form=form or {},
        problem=explain(words, view.refusal, form or {}) if view.refusal else NONE,
        language=language,
        # A page that answers a form cannot be fetched again in another language.
        languages={} if form is not None else {name: texts["name"] for name, texts in TEXTS.items()},
        product=settings.product_name,
        versions=_VERSIONS,
    )
    headers = {**_HEADERS, "content-language": language}
    if view.refusal is None:
        return HTMLResponse(html, headers=headers)
    return HTMLResponse(html, view.refusal.status, headers={**headers, **headers_of(view.refusal)})


# The two files that the pages refer to, each under a version that changes with it.

_ASSETS = {
    f"/pages/{name}": (files("identity.rest.pages").joinpath("assets", name).read_bytes(), media_type)
    for name, media_type in (("style.css", "text/css"), ("script.js", "text/javascript"))
}
_VERSIONS = {
    path.rpartition("/")[2]: hashlib.sha256(content).hexdigest()[:12] for path, (content, _) in _ASSETS.items()
}


def assets() -> Iterable[Endpoint]:
    """The style sheet and the script."""
    for path, (content, media_type) in _ASSETS.items():
        yield Endpoint("GET", path, _file(content, media_type))


def _file(content: bytes, media_type: str) -> Callable[[Exchange], Awaitable[Response]]:
    async def answer(exchange: Exchange) -> Response:
        return Response(content, media_type=media_type, headers={"cache-control": _KEPT})

    return answer
