from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from identity.crypto.verified_tokens import Verified, VerifiedTokens
from identity.domain.tokens import AccessClaims

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WHO = UUID("0192d3f4-5a6b-7c8d-9e0f-112233445566")
KEYS, OTHER_KEYS = object(), object()
CLAIMS = AccessClaims(WHO, WHO, None, None, None, ("pwd",), NOW, NOW, NOW, "1")


def holding(size: int, *digests: bytes) -> VerifiedTokens:
    tokens = VerifiedTokens(size)
    for digest in digests:
        tokens.put(KEYS, digest, Verified(CLAIMS, 10.0, 20.0))
    return tokens


def known(tokens: VerifiedTokens, moment: float = 10.0, keys: object = KEYS) -> set[bytes]:
    return {digest for digest in (b"a", b"b", b"c") if tokens.get(keys, digest, moment) is not None}


def test_a_token_is_known_from_its_first_moment_to_its_last() -> None:
    tokens = holding(2, b"a")
    assert [bool(known(tokens, moment)) for moment in (9.9, 10.0, 19.9, 20.0)] == [False, True, True, False]


def test_JW_04_what_other_keys_verified_is_forgotten() -> None:
    tokens = holding(3, b"a")
    assert known(tokens, keys=OTHER_KEYS) == set()
    tokens.put(OTHER_KEYS, b"b", Verified(CLAIMS, 10.0, 20.0))
    assert (known(tokens), known(tokens, keys=OTHER_KEYS)) == (set(), {b"b"})


def test_the_token_unused_for_longest_makes_room() -> None:
    assert known(holding(2, b"a", b"b", b"c")) == {b"b", b"c"}
    assert known(holding(2, b"a", b"b", b"a", b"c")) == {b"a", b"c"}
    tokens = holding(2, b"a", b"b")
    assert tokens.get(KEYS, b"a", 10.0) is CLAIMS
    tokens.put(KEYS, b"c", Verified(CLAIMS, 10.0, 20.0))
    assert known(tokens) == {b"a", b"c"}
