"""Who is believed about where a call comes from (LG-04, N-28, N-36)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.rpc.toy import ToyReply, failure, serving

from identity.domain.errors import InvalidRequest
from identity.rpc.caller import current_source
from identity.rpc.source import SourceReader

TRUSTED = SourceReader(["127.0.0.0/8", "::1", "10.0.0.0/8", "fd00::/8", "unix"])
NOBODY = SourceReader([])
FORGED = {"x-client-ip": "203.0.113.7", "x-client-user-agent": "forged", "user-agent": "plain"}


@pytest.mark.parametrize(
    ("peer", "address", "network"),
    [
        ("ipv4:198.51.100.9:1234", "198.51.100.9", "198.51.100.9"),
        ("ipv6:%5B2001:db8:1:2:3::4%5D:1234", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("ipv6:[2001:DB8:1:2:3::4]:1234", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("ipv6:%5Bfe80::1%25eth0%5D:1234", "fe80::1", "fe80::/64"),
        ("ipv6:%5B::ffff:198.51.100.9%5D:1234", "198.51.100.9", "198.51.100.9"),
        ("ipv4:127.0.0.1:1234", None, None),
        ("ipv6:%5B::1%5D:1234", None, None),
        ("ipv6:%5B::ffff:127.0.0.1%5D:1234", None, None),
        ("unix:", None, None),
        ("unix:/run/identity.sock", None, None),
        ("unix-abstract:identity", None, None),
    ],
)
def test_the_peer_is_the_source(peer: str, address: str | None, network: str | None) -> None:
    for reader in (NOBODY, TRUSTED):
        origin = reader.read(peer, {})
        assert (address, network) == (origin.source.address, origin.network)
        assert origin.network == origin.source.network


@pytest.mark.parametrize("peer", ["ipv4:198.51.100.9:1", "ipv4:127.0.0.1:1", "ipv6:%5B::1%5D:1", "unix:"])
def test_a_header_from_an_untrusted_peer_changes_nothing_LG_04(peer: str) -> None:
    forged, honest = NOBODY.read(peer, FORGED).source, NOBODY.read(peer, {"user-agent": "plain"}).source
    assert honest == forged
    assert forged.user_agent == "plain"
    for hostile in ("a", "", "\n", "203.0.113.7, 198.51.100.9"):
        assert honest == NOBODY.read(peer, FORGED | {"x-client-ip": hostile}).source


@pytest.mark.parametrize(
    "peer", ["ipv4:127.0.0.1:1", "ipv6:%5B::1%5D:1", "ipv4:10.1.2.3:1", "ipv6:%5B::ffff:10.1.2.3%5D:1", "unix:"]
)
@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:cb00:7107", "203.0.113.7"),
        ("127.0.0.1", "127.0.0.1"),
    ],
)
def test_a_trusted_hop_names_the_client(peer: str, header: str, address: str) -> None:
    assert address == TRUSTED.read(peer, {"x-client-ip": header}).source.address


def test_a_trusted_hop_that_names_nobody_is_the_source_itself() -> None:
    """Anything else would be a way around every budget, by a proxy that forgot the header."""
    assert TRUSTED.read("ipv4:10.1.2.3:1", {}).source.address == "10.1.2.3"


HOSTILE_ADDRESSES = [
    "",
    " ",
    "a",
    "\n",
    "203.0.113.7 ",
    " 203.0.113.7",
    "203.0.113.7,198.51.100.9",
    "203.0.113.7, 198.51.100.9",
    "203.0.113.7:443",
    "[2001:db8::1]",
    "[2001:db8::1]:443",
    "2001:db8::1%eth0",
    "fe80::1%\x1b[31m",
    "203.0.113.07",
    "0xcb.0.113.7",
    "3405803783",
    "203.0.113",
    "203.0.113.7/32",
    "２０３.0.113.7",
    "localhost",
    "unix:",
    "1" * 5000,
    "::ffff:203.0.113.7:1:2:3:4:5:6",
]


@pytest.mark.parametrize("header", HOSTILE_ADDRESSES)
def test_an_address_that_cannot_be_read_is_refused_and_never_skipped_N_28(header: str) -> None:
    with pytest.raises(InvalidRequest):
        TRUSTED.read("unix:", {"x-client-ip": header})


@pytest.mark.parametrize("peer", ["", "ipv4:", "ipv4:1234", "ipv4:a:1", "ipv6:%5B%5D:1", "vsock:3:1", "203.0.113.7:1"])
def test_a_peer_that_cannot_be_read_is_refused_N_28(peer: str) -> None:
    for reader in (NOBODY, TRUSTED):
        with pytest.raises(InvalidRequest):
            reader.read(peer, {"x-client-ip": "203.0.113.7"})


def test_a_thousand_addresses_of_one_network_are_one_unit_LG_04() -> None:
    networks = {TRUSTED.read("unix:", {"x-client-ip": f"2001:db8::{n:x}"}).network for n in range(1000)}
    assert {"2001:db8::/64"} == networks


@pytest.mark.parametrize(
    ("metadata", "label"),
    [
        ({}, ""),
        ({"user-agent": "tool/1"}, "tool/1"),
        ({"user-agent": "grpc", "x-client-user-agent": "Firefox"}, "Firefox"),
        ({"user-agent": "grpc", "x-client-user-agent": ""}, "grpc"),
        ({"user-agent": "a\r\nb\x1b[31mc\x85\u202ed\u2028e\0"}, "ab[31mcde"),
        ({"user-agent": "x" * 300}, "x" * 256),
        ({"user-agent": "é" * 300}, "é" * 256),
    ],
)
def test_the_user_agent_is_a_short_line_LO_02(metadata: dict[str, str], label: str) -> None:
    assert label == TRUSTED.read("unix:", metadata).source.user_agent


def test_a_wrong_network_stops_the_boot() -> None:
    for network in ("10.0.0.1/8", "everybody", ""):
        with pytest.raises(ValueError, match=r"does not appear|has host bits"):
            SourceReader([network])


# The same over the wire.


def where(_: object) -> Any:
    return ToyReply(text=str(current_source().address))


@pytest.mark.parametrize(
    ("trusted", "metadata", "seen"),
    [
        ((), (), "None"),
        ((), (("x-client-ip", "203.0.113.7"),), "None"),
        (("127.0.0.0/8",), (("x-client-ip", "203.0.113.7"),), "203.0.113.7"),
        (("127.0.0.0/8",), (), "None"),
    ],
)
async def test_the_source_of_a_call_over_tcp(trusted: tuple[str, ...], metadata: Any, seen: str) -> None:
    async with serving(sources=SourceReader(trusted)) as served:
        served.toy.do = where
        assert seen == (await served.call("Echo", metadata=metadata)).text
        assert (None if seen == "None" else seen) == served.lines[-1].network


async def test_the_source_of_a_call_over_a_unix_socket(tmp_path: Path) -> None:
    for trusted, seen in (((), "None"), (("unix",), "203.0.113.7")):
        async with serving(unix=str(tmp_path / "s"), sources=SourceReader(trusted)) as served:
            served.toy.do = where
            assert seen == (await served.call("Echo", metadata=(("x-client-ip", "203.0.113.7"),))).text


@pytest.mark.parametrize(
    "metadata",
    [
        (("x-client-ip", "a"),),
        (("x-client-ip", "203.0.113.7"), ("x-client-ip", "203.0.113.7")),
        (("x-client-ip", "203.0.113.7, 198.51.100.9"),),
    ],
)
async def test_a_call_from_nowhere_is_refused_N_28(metadata: Any) -> None:
    async with serving(sources=SourceReader(["127.0.0.0/8"])) as served:
        seen = await failure(served.call("Echo", metadata=metadata))
        assert (seen.code, seen.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert "203.0" not in repr(seen)
