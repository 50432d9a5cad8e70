"""Minting and verifying as a caller sees it; the forgeries are in test_access_token_forgeries.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.crypto.access_tokens import MAX_TOKEN_CHARACTERS, AccessTokens, KeySet
from identity.crypto.signing_keys import Algorithm, PublicKey, generate
from identity.domain.errors import TokenExpired, Unauthenticated
from identity.domain.tokens import AccessClaims

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ALGORITHMS: tuple[Algorithm, ...] = ("ES256", "EdDSA")
CLAIMS = AccessClaims(
    account_id=UUID("0192d3f4-5a6b-7c8d-9e0f-112233445566"),
    session_id=UUID("0192d3f4-5a6b-7c8d-9e0f-223344556677"),
    tenant_id=UUID("0192d3f4-5a6b-7c8d-9e0f-334455667788"),
    role="manager",
    level=50,
    amr=("pwd", "otp"),
    authenticated_at=NOW - timedelta(hours=2),
    issued_at=NOW,
    expires_at=NOW + timedelta(minutes=15),
    jti="0192d3f45a6b7c8d9e0f445566778899",
)
OURS = {"iss", "aud", "sub", "sid", "tid", "role", "lvl", "amr", "auth_time", "jti", "iat", "exp", "scope"}
BARE = replace(CLAIMS, tenant_id=None, role=None, level=None, amr=())


class CountedKeys(Mapping[str, PublicKey]):
    """Counts how often a key is asked for: once per signature that is really checked."""

    def __init__(self, keys: Mapping[str, PublicKey]) -> None:
        self._keys = keys
        self.asked = 0

    def __getitem__(self, kid: str) -> PublicKey:
        self.asked += 1
        return self._keys[kid]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _tokens(keys: KeySet, *, remembered: int = 100, leeway: timedelta = 5 * SECOND) -> AccessTokens:
    return AccessTokens("https://id.example.com", "identity", lambda: keys, leeway=leeway, remembered=remembered)


def _counted() -> tuple[KeySet, CountedKeys]:
    keys = KeySet.at(NOW, [generate("EdDSA", NOW)])
    counted = CountedKeys(keys.verifying)
    return replace(keys, verifying=counted), counted


KEYS = KeySet.at(NOW, [generate("ES256", NOW)])
TOKENS = _tokens(KEYS)
TOKEN = TOKENS.mint(CLAIMS)


# Time.


@pytest.mark.parametrize("remembered", [0, 100])
def test_JW_02_a_token_is_good_from_its_issue_to_its_expiry_with_5_seconds_for_clocks(remembered: int) -> None:
    tokens = _tokens(KEYS, remembered=remembered)
    for _ in range(2):  # the second round meets what the first one remembered
        with pytest.raises(Unauthenticated):
            tokens.verify(TOKEN, CLAIMS.issued_at - 5 * SECOND - SECOND / 1000)
        assert tokens.verify(TOKEN, CLAIMS.issued_at - 5 * SECOND) == CLAIMS
        assert tokens.verify(TOKEN, CLAIMS.expires_at) == CLAIMS
        assert tokens.verify(TOKEN, CLAIMS.expires_at + 5 * SECOND - SECOND / 1000) == CLAIMS
        with pytest.raises(TokenExpired):
            tokens.verify(TOKEN, CLAIMS.expires_at + 5 * SECOND)
        with pytest.raises(TokenExpired):
            tokens.verify(TOKEN, CLAIMS.expires_at + timedelta(days=1000))


def test_JW_02_without_leeway_the_bounds_are_exact() -> None:
    tokens = _tokens(KEYS, leeway=timedelta(0))
    with pytest.raises(Unauthenticated):
        tokens.verify(TOKEN, CLAIMS.issued_at - SECOND / 1000)
    assert tokens.verify(TOKEN, CLAIMS.issued_at) == CLAIMS
    assert tokens.verify(TOKEN, CLAIMS.expires_at - SECOND / 1000) == CLAIMS
    with pytest.raises(TokenExpired):
        tokens.verify(TOKEN, CLAIMS.expires_at)


@pytest.mark.parametrize("year", [1990, 2026, 2400])
def test_JW_02_only_the_given_moment_counts_never_the_clock_of_the_machine(year: int) -> None:
    now = datetime(year, 1, 1, tzinfo=UTC)
    claims = replace(CLAIMS, authenticated_at=now, issued_at=now, expires_at=now + timedelta(minutes=15))
    token = TOKENS.mint(claims)
    assert TOKENS.verify(token, now) == claims
    with pytest.raises(TokenExpired):
        TOKENS.verify(token, now + timedelta(hours=1))


def test_F_10_nodes_2_seconds_apart_accept_each_others_tokens() -> None:
    token = TOKENS.mint(replace(CLAIMS, issued_at=NOW + 2 * SECOND))
    assert TOKENS.verify(token, NOW)


# What is in it.


def test_JW_03_the_claims_are_the_agreed_ones_and_no_others() -> None:
    payload = jwt.decode(TOKEN, options={"verify_signature": False})
    assert set(payload) == OURS - {"scope"}
    restricted = TOKENS.mint(replace(BARE, scope="password_change"))
    payload = jwt.decode(restricted, options={"verify_signature": False})
    assert set(payload) == OURS - {"tid", "role", "lvl"}
    assert jwt.get_unverified_header(TOKEN) == {"alg": "ES256", "kid": KEYS.signing.kid, "typ": "at+jwt"}


def test_JW_03_a_token_with_every_claim_stays_below_a_kibibyte_and_a_half() -> None:
    assert len(TOKENS.mint(replace(CLAIMS, scope="password_change"))) < 1536


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_JW_01_any_library_verifies_a_token_with_the_published_key(algorithm: Algorithm) -> None:
    keys = KeySet.at(NOW, [generate(algorithm, NOW)])
    payload = jwt.decode(
        _tokens(keys).mint(CLAIMS),
        jwt.PyJWK(dict(keys.signing.public_jwk)),
        algorithms=[algorithm],
        issuer="https://id.example.com",
        audience="identity",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert payload["sub"] == str(CLAIMS.account_id)
    assert payload["exp"] - payload["iat"] == 900


MOMENTS = st.integers(946_684_800, 4_102_444_800).map(lambda second: datetime.fromtimestamp(second, UTC))


@settings(max_examples=100, deadline=None)
@given(
    st.builds(
        AccessClaims,
        account_id=st.uuids(),
        session_id=st.uuids(),
        tenant_id=st.none() | st.uuids(),
        role=st.none() | st.text(min_size=1, max_size=30),
        level=st.none() | st.integers(0, 1000),
        amr=st.lists(st.text(min_size=1, max_size=5), max_size=4).map(tuple),
        authenticated_at=MOMENTS,
        issued_at=MOMENTS,
        expires_at=st.just(datetime(2101, 1, 1, tzinfo=UTC)),
        jti=st.uuids().map(str),
        scope=st.none() | st.text(min_size=1, max_size=20),
        extra=st.dictionaries(st.text(max_size=8).map("x-".__add__), st.integers() | st.text(max_size=20), max_size=3),
    ),
    st.sampled_from([TOKENS, _tokens(KeySet.at(NOW, [generate("EdDSA", NOW)]))]),
)
def test_what_was_minted_is_read_back(claims: AccessClaims, tokens: AccessTokens) -> None:
    assert tokens.verify(tokens.mint(claims), claims.issued_at) == claims


def test_fractions_of_a_second_are_rounded_down() -> None:
    late = timedelta(microseconds=999_999)
    token = TOKENS.mint(
        replace(CLAIMS, issued_at=CLAIMS.issued_at + late, expires_at=CLAIMS.expires_at + late),
    )
    assert TOKENS.verify(token, NOW) == CLAIMS


def test_the_claims_of_a_product_are_carried_and_read_only() -> None:
    claims = replace(CLAIMS, extra={"number": 7})
    read = TOKENS.verify(TOKENS.mint(claims, {"email": "a@example.com"}), NOW)
    assert read.extra == {"number": 7, "email": "a@example.com"}
    assert replace(read, extra={}) == CLAIMS
    with pytest.raises(TypeError):
        read.extra["number"] = 8  # type: ignore[index]


@pytest.mark.parametrize("name", [*sorted(OURS), "nbf"])
def test_a_product_cannot_set_a_claim_of_ours(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        TOKENS.mint(BARE, {name: "x"})
    with pytest.raises(ValueError, match=name):
        TOKENS.mint(replace(BARE, extra={name: "x"}))


def test_M10_a_token_that_would_not_be_read_is_not_minted() -> None:
    with pytest.raises(ValueError, match="too many claims"):
        TOKENS.mint(CLAIMS, {"x": "y" * MAX_TOKEN_CHARACTERS})
    with pytest.raises(ValueError, match="JSON"):
        TOKENS.mint(CLAIMS, {"x": float("nan")})


# Keys that come and go.


def test_F_22_tokens_of_the_previous_key_are_good_until_it_leaves_the_set() -> None:
    old = generate("ES256", NOW)
    new = generate("EdDSA", NOW, signs_from=NOW + timedelta(minutes=10))
    current = KeySet.at(NOW, [old, new])
    tokens = AccessTokens("https://id.example.com", "identity", lambda: current)
    before = tokens.mint(CLAIMS)
    later = NOW + timedelta(minutes=10)

    current = KeySet.at(later, [old, new])
    after = tokens.mint(CLAIMS)
    assert jwt.get_unverified_header(before)["kid"] == old.kid
    assert jwt.get_unverified_header(after)["kid"] == new.kid
    assert tokens.verify(before, later) == tokens.verify(after, later) == CLAIMS

    current = KeySet.at(later, [new])  # JW-04, the emergency drop
    with pytest.raises(Unauthenticated):
        tokens.verify(before, later)
    assert tokens.verify(after, later) == CLAIMS


def test_JW_04_a_new_key_verifies_before_it_signs() -> None:
    old = generate("ES256", NOW)
    new = generate("ES256", NOW, signs_from=NOW + timedelta(minutes=10))
    elsewhere = _tokens(KeySet.at(NOW + timedelta(minutes=10), [old, new]))  # a replica whose clock is ahead
    assert _tokens(KeySet.at(NOW, [old, new])).verify(elsewhere.mint(CLAIMS), NOW) == CLAIMS


def test_JW_04_the_key_set_of_a_moment() -> None:
    first = generate("ES256", NOW, lifetime=timedelta(days=2), keep_published=timedelta(hours=1))
    second = generate("ES256", NOW, signs_from=NOW + timedelta(days=1), keep_published=timedelta(hours=1))

    def at(moment: datetime) -> tuple[str, set[str]]:
        keys = KeySet.at(moment, iter([second, first]))
        return keys.signing.kid, set(keys.verifying)

    assert at(NOW) == (first.kid, {first.kid, second.kid})
    assert at(NOW + timedelta(days=1) - SECOND) == (first.kid, {first.kid, second.kid})
    assert at(NOW + timedelta(days=1)) == (second.kid, {first.kid, second.kid})
    assert at(first.published_until - SECOND) == (second.kid, {first.kid, second.kid})
    assert at(first.published_until) == (second.kid, {second.kid})


def test_JW_04_without_a_key_that_may_sign_there_is_no_key_set() -> None:
    with pytest.raises(LookupError):
        KeySet.at(NOW + timedelta(days=4000), [generate("ES256", NOW)])
    with pytest.raises(LookupError):
        KeySet.at(NOW, [])


def test_F_10_a_node_whose_clock_is_behind_signs_with_the_first_key_there_is() -> None:
    """A node that is ahead made it a moment ago, and there is no other yet."""
    first, second = generate("ES256", NOW), generate("ES256", NOW + timedelta(days=1))

    assert KeySet.at(NOW - 2 * SECOND, [second, first]).signing == first


def test_F_22_keys_rotate_under_load_without_one_failure() -> None:
    generations = [generate("EdDSA", NOW) for _ in range(20)]
    published = {key.kid: key.public_key for key in generations}
    current = KeySet(generations[0], published)
    tokens = AccessTokens("https://id.example.com", "identity", lambda: current, remembered=5)

    def mint_and_verify(_: int) -> bool:
        return all(tokens.verify(token, NOW) == CLAIMS for token in [tokens.mint(CLAIMS)] * 3)

    with ThreadPoolExecutor(4) as threads:
        results = threads.map(mint_and_verify, range(400))
        for key in generations:
            current = KeySet(key, published)
        assert all(results)


# What is remembered.


def test_a_verified_token_is_not_checked_again() -> None:
    keys, counted = _counted()
    tokens = _tokens(keys)
    token = tokens.mint(CLAIMS)
    for _ in range(5):
        assert tokens.verify(token, NOW) == CLAIMS
    assert counted.asked == 1


def test_a_refused_token_is_not_remembered() -> None:
    keys, counted = _counted()
    tokens = _tokens(keys)
    token = tokens.mint(CLAIMS)
    for expected in (1, 2):
        with pytest.raises(TokenExpired):
            tokens.verify(token, CLAIMS.expires_at + timedelta(hours=1))
        assert counted.asked == expected


def test_JW_04_nothing_is_remembered_across_key_sets() -> None:
    key = generate("ES256", NOW)
    current = KeySet.at(NOW, [key])
    tokens = AccessTokens("https://id.example.com", "identity", lambda: current)
    token = tokens.mint(CLAIMS)
    assert tokens.verify(token, NOW) == CLAIMS
    successor = generate("ES256", NOW)
    current = KeySet.at(NOW, [successor])
    with pytest.raises(Unauthenticated):
        tokens.verify(token, NOW)
    assert tokens.verify(tokens.mint(CLAIMS), NOW) == CLAIMS  # from now on the memory is of the new set
    with pytest.raises(Unauthenticated):
        tokens.verify(token, NOW)


def test_a_remembered_token_does_not_outlive_its_time_in_either_direction() -> None:
    tokens = _tokens(KEYS)
    assert tokens.verify(TOKEN, NOW) == CLAIMS
    with pytest.raises(TokenExpired):
        tokens.verify(TOKEN, CLAIMS.expires_at + timedelta(minutes=1))
    with pytest.raises(Unauthenticated):  # the clock went back
        tokens.verify(TOKEN, CLAIMS.issued_at - timedelta(minutes=1))
    assert tokens.verify(TOKEN, NOW) == CLAIMS


def test_the_token_unused_for_longest_is_forgotten_first() -> None:
    keys, counted = _counted()
    tokens = _tokens(keys, remembered=2)
    first, second, third = (tokens.mint(replace(CLAIMS, jti=str(uuid4()))) for _ in range(3))
    for token in (first, second, first, third):  # the third pushes the second out
        tokens.verify(token, NOW)
    assert counted.asked == 3
    tokens.verify(first, NOW)
    tokens.verify(third, NOW)
    assert counted.asked == 3
    tokens.verify(second, NOW)
    assert counted.asked == 4


def test_remembering_can_be_switched_off() -> None:
    keys, counted = _counted()
    tokens = _tokens(keys, remembered=0)
    token = tokens.mint(CLAIMS)
    assert [tokens.verify(token, NOW) for _ in range(3)] == [CLAIMS] * 3
    assert counted.asked == 3
