from __future__ import annotations

import base64
import hmac
import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.crypto.device_tokens import DeviceTokens
from identity.crypto.refresh_tokens import RefreshTokens

TOKENS = DeviceTokens(b"k" * 32)
SESSION = UUID("0192d3f4-5a6b-7c8d-9e0f-112233445566")
TOKEN = TOKENS.issue(SESSION)


@given(st.uuids())
def test_LG_03_what_was_issued_is_read_back(session_id: UUID) -> None:
    assert TOKENS.read(TOKENS.issue(session_id)) == session_id


def test_LG_03_without_the_key_no_token_is_made() -> None:
    assert TOKENS.read(DeviceTokens(b"l" * 32).issue(SESSION)) is None


def test_LG_03_a_refresh_token_is_none_under_the_same_key_too() -> None:
    assert TOKENS.read(RefreshTokens(b"k" * 32).issue(SESSION, 0)) is None


def test_P_12_every_flipped_bit_of_every_byte_is_refused() -> None:
    raw = base64.urlsafe_b64decode(TOKEN)
    for position in range(len(raw) * 8):
        altered = bytearray(raw)
        altered[position // 8] ^= 1 << position % 8
        assert TOKENS.read(base64.urlsafe_b64encode(altered).decode()) is None


def test_P_12_every_other_character_at_every_place_is_refused() -> None:
    for position in range(len(TOKEN)):
        for character in set(string.printable) - {TOKEN[position]}:
            assert TOKENS.read(TOKEN[:position] + character + TOKEN[position + 1 :]) is None


def test_P_12_every_truncation_and_extension_is_refused() -> None:
    for length in range(len(TOKEN)):
        assert TOKENS.read(TOKEN[:length]) is None
    for more in ("=", "A", "AAAA", "\n", " ", TOKEN):
        assert TOKENS.read(TOKEN + more) is None
        assert TOKENS.read(more + TOKEN) is None


def test_a_genuine_mac_over_a_version_that_is_not_ours_is_refused() -> None:
    for version in (0, 2, 255):
        claim = bytes([version]) + SESSION.bytes
        token = base64.urlsafe_b64encode(claim + hmac.digest(b"k" * 32, claim, "sha256")[:16]).decode()
        assert TOKENS.read(token) is None


@pytest.mark.parametrize("garbage", ["", "\0" * 44, "\ud800" * 44, "é" * 44, "=" * 44, "A" * 44, "A" * 1_000_000])
def test_P_12_garbage_is_none_and_never_an_exception(garbage: str) -> None:
    assert TOKENS.read(garbage) is None


def test_the_form_is_stable_across_releases() -> None:
    # A change here makes every device unknown.
    assert TOKEN == "AQGS0_Raa3yNng8RIjNEVWaKckI7ieI8mg1NcDLGZeE5"
