"""Puts the HTTP doors together: the canonical API, health, and one dialect if asked."""

from __future__ import annotations

from identity.rest import canonical, health
from identity.rest.dialect import load_dialect
from identity.rest.door import Door
from identity.rest.routing import Router
from identity.rest.upstream import Upstream
from identity.rest_settings import RestSettings


def build_app(settings: RestSettings, upstream: Upstream) -> Door:
    """The ASGI application. Raises PathTaken if two doors want the same path."""
    endpoints = [*canonical.endpoints(upstream), health.endpoint(upstream)]
    if settings.dialect not in ("", "none"):
        endpoints += load_dialect(settings.dialect).endpoints()
    return Door(settings, upstream, Router(endpoints))
