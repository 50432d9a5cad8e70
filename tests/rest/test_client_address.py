"""LG-04, N-28: who a request comes from is said by the connection or by a trusted proxy, and by nobody else."""

from __future__ import annotations

import pytest

from identity.rest.client_address import ClientAddress
from identity.rest.refusals import Refusal

PROXIES = ClientAddress(["10.0.0.0/8", "::1/128"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["6.6.6.6", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3"], "10.0.0.3"),
        ("::1", ["2001:db8::5"], "2001:db8::5"),
        ("::1", ["::ffff:192.0.2.7"], "192.0.2.7"),
    ],
)
def test_LG_04_the_last_hop_that_is_no_proxy_is_the_client(peer: str, forwarded: list[str], client: str) -> None:
    assert PROXIES.read(peer, forwarded) == client


@pytest.mark.parametrize(
    "forwarded", ["a", "", "203.0.113.9,", "999.1.1.1", "fe80::1%eth0", "203.0.113.9:80", "unknown"]
)
def test_N_28_an_address_that_cannot_be_read_is_refused(forwarded: str) -> None:
    with pytest.raises(Refusal):
        PROXIES.read("10.0.0.1", [forwarded])
