"""Whom an encrypted connection trusts."""

from __future__ import annotations

import ssl
from functools import cache


@cache
def system_trust() -> ssl.SSLContext:
    """What the system trusts: slow to load, and for nothing where nothing is encrypted."""
    return ssl.create_default_context()
