"""Hosts in the URLs that operators write."""

from __future__ import annotations

import ipaddress


def is_host(host: str) -> bool:
    """Whether this can be a host's name or address at all."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def is_loopback(host: str) -> bool:
    """Whether what is sent there stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
