"""Every departure from a requirement is said, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from identity.cli.deviations import deviations
from identity.presets import load_policy
from identity.settings import load_settings

DEPARTURES: list[tuple[str, dict[str, Any]]] = [
    ("PW-01", {"password": {"min_length_single_factor": 14}}),
    ("PW-03", {"password": {"composition": True}}),
    ("Z-04", {"tells_unknown_tenants": True}),
    ("Z-10", {"challenges_without_token": True}),
    ("Z-24", {"registration": {"uniform": False}}),
    ("Z-25", {"verified_email_to_sign_in": False}),
    ("JW-03", {"lifetimes": {"access_token": "PT15M1S"}}),
    ("SE-02", {"lifetimes": {"refresh_grace": "PT11S"}}),
    ("SE-03", {"lifetimes": {"session_idle": "P8D"}}),
    ("SE-03", {"lifetimes": {"session": "P31D"}}),
    ("SE-06", {"max_sessions": 21}),
    ("LO-03", {"new_device_notice": False}),
    ("RC-02", {"lifetimes": {"password_reset": "PT61M"}}),
    ("RC-02", {"lifetimes": {"email_verification": "PT25H"}}),
    ("RC-02", {"lifetimes": {"temporary_password": "PT25H"}}),
]


def test_the_standard_preset_departs_from_nothing() -> None:
    assert deviations(load_policy("standard"), load_settings()) == []


@pytest.mark.parametrize(("requirement", "policy"), DEPARTURES)
def test_a_policy_that_departs_is_named(requirement: str, policy: dict[str, Any]) -> None:
    found = deviations(load_policy("standard", policy), load_settings())

    assert [deviation.requirement for deviation in found] == [requirement]


def test_what_the_network_may_do_is_named() -> None:
    """Nothing of it holds on loopback, or with client certificates and without reflection."""
    tls = {"tls_certificate": "certificate.pem", "tls_key": "key.pem"}
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"grpc_address": "0.0.0.0:50051", **tls, "reflection": True}, ["TR-01", "TR-06"]),
        ({"grpc_address": "0.0.0.0:50051", **tls}, ["TR-01"]),
        ({"grpc_address": "0.0.0.0:50051", **tls, "tls_client_ca": "ca.pem"}, []),
        ({"reflection": True}, []),
    ]
    for given, expected in cases:
        found = deviations(load_policy("standard"), load_settings(**given))

        assert [deviation.requirement for deviation in found] == expected
