"""Where a request comes from: the peer of the connection, or what a trusted proxy says about it (LG-04)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from identity.rest.refusals import invalid

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ClientAddress:
    """Decides who is believed. `trusted` are the networks of proxies that append to `X-Forwarded-For`."""

    def __init__(self, trusted: Iterable[str]) -> None:
        self._trusted = [ipaddress.ip_network(network) for network in trusted]

    def read(self, peer: str, forwarded: Iterable[str]) -> str:
        """The client's address: the last one that no trusted proxy stands for.

        `forwarded` are the values of `X-Forwarded-For` in order. Raises a Refusal if a trusted proxy sent one that
        cannot be read, which is never taken for "no address" (N-28).
        """
        address = _parse(peer)
        hops = [hop for value in forwarded for hop in value.split(",")]
        while hops and self._is_trusted(address):
            address = _parse(hops.pop().strip())
        return str(address)

    def _is_trusted(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _parse(text: str) -> Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise invalid("The address of the client cannot be read.") from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise invalid("The address of the client cannot be read.")
        return address.ipv4_mapped or address
    return address
