from __future__ import annotations

from identity.crypto.mac_tokens import MacTokens

NEW, OLD, OLDEST = b"n" * 32, b"o" * 32, b"e" * 32
CLAIM = b"a claim of 24 characters"


def of(key: bytes, *old_keys: bytes) -> MacTokens:
    return MacTokens(key, claim_bytes=24, mac_bytes=24, old_keys=old_keys)


def test_F_22_a_token_under_any_old_key_is_read_and_none_is_issued_under_one() -> None:
    tokens = of(NEW, OLD, OLDEST)

    assert tokens.issue(CLAIM) == of(NEW).issue(CLAIM)
    for key in (NEW, OLD, OLDEST):
        assert tokens.read(of(key).issue(CLAIM)) == CLAIM
    assert of(NEW).read(of(OLD).issue(CLAIM)) is None


def test_LO_01_no_key_is_in_what_a_log_would_show() -> None:
    assert repr(of(NEW, OLD)) == "MacTokens(claim_bytes=24, mac_bytes=24)"
