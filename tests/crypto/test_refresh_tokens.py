from __future__ import annotations

import base64
import hmac
import string
import struct
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.crypto.refresh_tokens import RefreshClaim, RefreshTokens

TOKENS = RefreshTokens(b"k" * 32)
SESSION = UUID("0192d3f4-5a6b-7c8d-9e0f-112233445566")
TOKEN = TOKENS.issue(SESSION, 7)


def test_P_12_every_flipped_bit_of_every_character_is_refused() -> None:
    for position in range(len(TOKEN)):
        for bit in range(8):
            altered = TOKEN[:position] + chr(ord(TOKEN[position]) ^ 1 << bit) + TOKEN[position + 1 :]
            assert TOKENS.read(altered) is None, altered


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
        assert TOKENS.read(TOKEN[length + 1 :]) is None
    for more in ("=", "==", "A", "AAAA", "\n", " ", ".", "\0", TOKEN):
        assert TOKENS.read(TOKEN + more) is None
        assert TOKENS.read(more + TOKEN) is None


def test_P_12_a_foreign_character_that_a_lenient_decoder_skips_is_refused() -> None:
    for foreign in ("\n", " ", "=", ".", "!", "é", "\0"):
        for position in range(len(TOKEN)):
            assert TOKENS.read(TOKEN[:position] + foreign + TOKEN[position:]) is None
            assert TOKENS.read(TOKEN[:position] + foreign + TOKEN[position + 1 :]) is None


def test_P_12_no_other_spelling_of_the_same_bytes_is_accepted() -> None:
    spellings_seen = 0
    for counter in range(200):
        token = TOKENS.issue(SESSION, counter)
        raw = base64.urlsafe_b64decode(token)
        for spelling in (
            base64.b64encode(raw).decode(),
            raw.hex(),
            base64.b32encode(raw).decode(),
            token.swapcase(),
            token.upper(),
            token.lower(),
            "\n".join(token),
            token.replace("-", "%2D").replace("_", "%5F"),
            token.translate({ord(letter): ord(letter) + 0xFEE0 for letter in string.ascii_letters}),
        ):
            if spelling != token:
                spellings_seen += 1
                assert TOKENS.read(spelling) is None
    assert spellings_seen > 1500


@given(st.one_of(st.text(), st.text(string.ascii_letters + string.digits + "-_+/=", min_size=76, max_size=76)))
def test_P_12_garbage_is_none_and_never_an_exception(garbage: str) -> None:
    assert TOKENS.read(garbage) is None


@pytest.mark.parametrize("garbage", ["", "\0" * 76, "\ud800" * 76, "é" * 76, "=" * 76, "A" * 76, "A" * 1_000_000])
def test_P_12_garbage_of_the_right_length_is_none(garbage: str) -> None:
    assert TOKENS.read(garbage) is None


def test_SE_01_without_the_key_no_token_is_made() -> None:
    assert TOKENS.read(RefreshTokens(b"l" * 32).issue(SESSION, 7)) is None


def test_a_genuine_mac_over_a_version_that_is_not_ours_is_refused() -> None:
    for version in (0, 2, 255):
        claim = struct.pack(">B16sQ", version, SESSION.bytes, 7)
        token = base64.urlsafe_b64encode(claim + hmac.digest(b"k" * 32, claim, "sha256")).decode()
        assert TOKENS.read(token) is None


@given(st.uuids(), st.integers(0, 2**64 - 1))
def test_SE_01_what_was_issued_is_read_back(session_id: UUID, counter: int) -> None:
    assert TOKENS.read(TOKENS.issue(session_id, counter)) == RefreshClaim(session_id, counter)


def test_SE_02_racing_callers_get_the_same_successor() -> None:
    assert RefreshTokens(b"k" * 32).issue(SESSION, 8) == TOKENS.issue(SESSION, 8)


def test_SE_01_sessions_and_counters_never_share_a_token() -> None:
    tokens = {TOKENS.issue(session, counter) for session in (uuid4() for _ in range(50)) for counter in range(50)}
    assert len(tokens) == 2500


@pytest.mark.parametrize("counter", [-1, 2**64])
def test_a_counter_that_does_not_fit_is_refused_when_issuing(counter: int) -> None:
    with pytest.raises(struct.error):
        TOKENS.issue(SESSION, counter)


def test_the_form_is_stable_across_releases() -> None:
    # A change here signs everybody out.
    assert TOKEN == "AQGS0_Raa3yNng8RIjNEVWYAAAAAAAAAB9buEoGioJTL0wpoJHwkTG6iPOyXfAiiIyMr4xM-J_-7"
