"""Puts the HTTP doors together: the canonical API, health, documentation, the pages, and one dialect if asked."""

from __future__ import annotations

from identity.rest import canonical, health
from identity.rest.dialect import load_dialect
from identity.rest.docs import page
from identity.rest.door import Door
from identity.rest.pages import site
from identity.rest.routing import Router
from identity.rest.upstream import Upstream
from identity.rest_settings import RestSettings


def build_app(settings: RestSettings, upstream: Upstream) -> Door:
    """The ASGI application. Raises PathTaken if two doors want the same path."""
    dialect = load_dialect(settings.dialect) if settings.dialect not in ("", "none") else None
    endpoints = [
        *canonical.endpoints(upstream),
        health.endpoint(upstream),
        *page.endpoints(settings.product_name, dialect),
        *site.endpoints(settings),
        *(dialect.endpoints() if dialect else ()),
    ]
    roots = dict.fromkeys(dialect.roots, dialect.refuse) if dialect else {}
    return Door(settings, upstream, Router(endpoints, roots))
