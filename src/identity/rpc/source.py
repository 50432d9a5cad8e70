"""Where a call comes from: the peer of the connection, or what a trusted hop says about it (LG-04)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote

from identity.domain.callers import Source
from identity.domain.errors import InvalidRequest

CLIENT_IP: Final = "x-client-ip"
CLIENT_USER_AGENT: Final = "x-client-user-agent"
USER_AGENT: Final = "user-agent"

_UNIX_SCHEMES: Final = frozenset({"unix", "unix-abstract"})
_USER_AGENT_LENGTH: Final = 256
_REMEMBERED: Final = 4096

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Origin(NamedTuple):
    """A source with its unit of throttling, which is not cheap to derive."""

    source: Source
    network: str | None


class Peer(NamedTuple):
    """The other end of the connection; `address` is None for a Unix socket."""

    address: IPAddress | None
    trusted: bool


class SourceReader:
    """Decides who is believed about the client's address.

    `trusted` holds networks ("10.0.0.0/8", "::1") and "unix" for peers on a Unix socket. Only they may name the
    client in `x-client-ip`; from anybody else the header changes nothing.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        networks = list(trusted)
        self._trust_unix = "unix" in networks
        self._trusted: tuple[IPNetwork, ...] = tuple(
            ipaddress.ip_network(network) for network in networks if network != "unix"
        )
        # A connection carries many calls and a client makes several, so that parsing is rare.
        self._peer = lru_cache(_REMEMBERED)(self._read_peer)
        self._origin = lru_cache(_REMEMBERED)(_origin)

    def read(self, peer: str, metadata: Mapping[str, str]) -> Origin:
        """Finds the source of a call.

        Raises `InvalidRequest` if the address cannot be read, which is never taken for "no address": that would
        be a way around every budget (N-28).
        """
        address, trusted = self._peer(peer)
        if not trusted:
            return self._origin(address, None, metadata.get(USER_AGENT, ""))
        user_agent = metadata.get(CLIENT_USER_AGENT) or metadata.get(USER_AGENT, "")
        return self._origin(address, metadata.get(CLIENT_IP), user_agent)

    def _read_peer(self, peer: str) -> Peer:
        scheme, _, rest = peer.partition(":")
        if scheme in _UNIX_SCHEMES:
            return Peer(None, self._trust_unix)
        host = unquote(rest).rpartition(":")[0].removeprefix("[").removesuffix("]")
        if scheme not in ("ipv4", "ipv6") or not host:
            raise InvalidRequest("The address of the connection cannot be read.")
        address = _parse(host.partition("%")[0])  # a zone names our interface, not the peer
        return Peer(address, any(address in network for network in self._trusted))


def _origin(peer: IPAddress | None, forwarded: str | None, user_agent: str) -> Origin:
    address = peer
    if forwarded is not None:
        address = _parse(forwarded)
    elif peer is not None and peer.is_loopback:
        address = None
    label = "".join(filter(str.isprintable, user_agent))[:_USER_AGENT_LENGTH]
    source = Source(None if address is None else str(address), label)
    return Origin(source, source.network)


def _parse(text: str) -> IPAddress:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise InvalidRequest("The address of the client cannot be read.") from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise InvalidRequest("The address of the client cannot be read.")
        return address.ipv4_mapped or address
    return address
