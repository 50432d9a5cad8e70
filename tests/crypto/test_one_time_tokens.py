from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections import Counter

import pytest

from identity.crypto.one_time_tokens import digest, new_otp, new_recovery_codes, new_temporary_password, new_token


def test_RC_01_a_token_is_256_bits_of_base64url() -> None:
    token = new_token()
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", token)
    assert len(base64.urlsafe_b64decode(token + "=")) == 32


def test_CR_01_no_token_comes_twice() -> None:
    assert len({new_token() for _ in range(100_000)}) == 100_000


def test_RC_01_the_stored_digest_is_sha_256_and_differs_for_every_spelling() -> None:
    token = new_token()
    assert digest(token) == hashlib.sha256(token.encode()).digest()
    for other in (token.swapcase(), token + "=", token[:-1], " " + token, ""):
        assert digest(other) != digest(token)


def test_the_digest_takes_whatever_a_caller_sends() -> None:
    assert len({digest(text) for text in ("", "\0", "é", "\ud800", "x" * 100_000)}) == 5


def test_a_temporary_password_passes_every_composition_rule_and_has_no_look_alikes() -> None:
    for _ in range(2000):
        password = new_temporary_password()
        assert re.fullmatch(r"[A-Za-z2-9]{4}(-[A-Za-z2-9]{4}){3}", password)
        assert re.search("[A-Z]", password)
        assert re.search("[a-z]", password)
        assert re.search("[0-9]", password)
        assert not set(password) & set("IOlo01")


def test_CR_01_a_temporary_password_has_more_than_80_bits() -> None:
    drawn = [new_temporary_password().replace("-", "") for _ in range(3000)]
    assert len(set(drawn)) == len(drawn)
    for position in range(16):
        seen = Counter(password[position] for password in drawn)
        # 56 symbols, each some 54 times: 5.8 bits at each of 16 places.
        assert len(seen) == 56
        assert max(seen.values()) < 150


def test_OT_04_a_code_is_six_ascii_digits_and_leading_zeros_are_kept() -> None:
    codes = [new_otp() for _ in range(20_000)]
    assert all(re.fullmatch(r"[0-9]{6}", code) for code in codes)
    assert any(code.startswith("0") for code in codes)
    first = Counter(code[0] for code in codes)
    assert set(first) == set("0123456789")
    assert min(first.values()) > 1600


def test_OT_04_every_code_is_as_likely_up_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "randbelow", lambda bound: bound - 1)
    assert new_otp() == "999999"


def test_OT_07_recovery_codes_are_ten_of_79_bits_without_look_alikes() -> None:
    drawn = [new_recovery_codes() for _ in range(200)]
    assert {len(codes) for codes in drawn} == {10}
    codes = {code for codes in drawn for code in codes}
    assert len(codes) == 2000
    assert all(re.fullmatch(r"[a-z2-9]{4}(-[a-z2-9]{4}){3}", code) for code in codes)
    assert set("".join(codes)) - {"-"} == set("abcdefghijkmnpqrstuvwxyz23456789")
