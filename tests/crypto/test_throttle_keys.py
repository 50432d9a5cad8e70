from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from identity.crypto.throttle_keys import ThrottleKeys

KEYS = ThrottleKeys(b"k" * 32)


def test_without_the_key_no_address_can_be_matched_to_its_row() -> None:
    assert ThrottleKeys(b"l" * 32).digest("email", "a@example.com") != KEYS.digest("email", "a@example.com")


def test_the_address_is_not_in_its_digest() -> None:
    digest = KEYS.digest("email", "a@example.com")
    assert len(digest) == 32
    assert b"example" not in digest


def test_one_address_has_one_bucket_of_each_kind() -> None:
    assert KEYS.digest("email", "a@example.com") == KEYS.digest("email", "a@example.com")
    assert KEYS.digest("email", "a@example.com") != KEYS.digest("reset", "a@example.com")


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), unique=True, max_size=20))
def test_no_two_pairs_of_kind_and_value_share_a_bucket(pairs: list[tuple[str, str]]) -> None:
    assert len({KEYS.digest(kind, value) for kind, value in pairs}) == len(pairs)


def test_kind_and_value_do_not_run_together() -> None:
    text = "1:a2:b3:"
    splits = [(text[:cut], text[cut:]) for cut in range(len(text) + 1)]
    for one, other in itertools.combinations(splits, 2):
        assert KEYS.digest(*one) != KEYS.digest(*other)
