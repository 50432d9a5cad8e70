from __future__ import annotations

import base64
import hashlib
import hmac
import unicodedata
from collections.abc import Iterator

import bcrypt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from identity.crypto.passwords import PasswordHasher, measure

PEPPER = b"p" * 32
HASHER = PasswordHasher(PEPPER, "0a1b2c3d", 4)


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Lists the rounds of every bcrypt call: the price of an answer, without a stop-watch."""
    spent: list[int] = []
    hashpw, checkpw = bcrypt.hashpw, bcrypt.checkpw

    def counting_hashpw(password: bytes, salt: bytes) -> bytes:
        digest = hashpw(password, salt)
        spent.append(1 << int(salt.split(b"$")[2]))
        return digest

    def counting_checkpw(password: bytes, hashed: bytes) -> bool:
        correct = checkpw(password, hashed)
        spent.append(1 << int(hashed.split(b"$")[2]))
        return correct

    monkeypatch.setattr(bcrypt, "hashpw", counting_hashpw)
    monkeypatch.setattr(bcrypt, "checkpw", counting_checkpw)
    yield spent


def test_PW_05_the_stored_form_is_scheme_pepper_id_and_bcrypt_over_the_keyed_pre_hash() -> None:
    stored = HASHER.hash("Zoë's pass phrase")
    scheme, pepper_id, digest = stored.split("$", 2)
    assert (scheme, pepper_id) == ("v1", "0a1b2c3d")
    assert digest.startswith("$2b$04$")
    prehash = base64.b64encode(hmac.new(PEPPER, "Zoë's pass phrase".encode(), hashlib.sha384).digest())
    assert len(prehash) == 64
    assert bcrypt.checkpw(prehash, digest.encode())


def test_PW_05_without_the_pepper_nothing_verifies() -> None:
    stored = HASHER.hash("the right password")
    assert not PasswordHasher(b"q" * 32, "0a1b2c3d", 4).verify("the right password", stored)


def test_PW_05_a_missing_pepper_is_refused_at_construction() -> None:
    with pytest.raises(ValueError, match="pepper"):
        PasswordHasher(b"", "0a1b2c3d", 4)
    with pytest.raises(ValueError, match="pepper"):
        PasswordHasher(PEPPER, "", 4)
    with pytest.raises(ValueError, match="pepper"):
        PasswordHasher(PEPPER, "a$b", 4)


def test_PW_05_equal_passwords_are_stored_differently() -> None:
    assert HASHER.hash("the same password") != HASHER.hash("the same password")


@pytest.mark.parametrize("length", [71, 72, 73, 100, 128])
def test_PW_02_the_last_character_counts_at_every_length(length: int) -> None:
    stored = HASHER.hash("x" * (length - 1) + "a")
    assert not HASHER.verify("x" * (length - 1) + "b", stored)
    assert not HASHER.verify("x" * (length - 1), stored)
    assert HASHER.verify("x" * (length - 1) + "a", stored)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (" password", "password"),
        ("password ", "password"),
        ("Password", "password"),
        ("pass\0word", "pass\0wort"),
        ("pass\0word", "pass"),
        ("１２３４", "1234"),
    ],
)
def test_PW_02_nothing_is_trimmed_folded_or_cut_at_a_nul(right: str, wrong: str) -> None:
    assert not HASHER.verify(wrong, HASHER.hash(right))
    assert HASHER.verify(right, HASHER.hash(right))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=128), st.text(max_size=128))
@example("é", "e\u0301")
@example("Å", "\u212b")
@example("a" * 128, "a" * 127)
@example("", "\0")
def test_P_09_a_password_verifies_exactly_when_its_nfc_form_is_equal(one: str, other: str) -> None:
    same = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
    stored = HASHER.hash(one)
    assert HASHER.verify(other, stored) == same
    assert HASHER.verify(one, stored)
    assert HASHER.verify(unicodedata.normalize("NFD", one), stored)


def _malformed() -> list[str]:
    good = HASHER.hash("the right password")
    bcrypt_part = good.split("$", 2)[2]
    return [
        "",
        "v1",
        "v1$0a1b2c3d$",
        good[:-1],
        good + "x",
        good + "\n",
        " " + good,
        good.replace("v1$", "v2$", 1),
        good.replace("v1$", "", 1),
        bcrypt_part,
        good.replace("$2b$04$", "$2b$03$"),
        good.replace("$2b$04$", "$2b$32$"),
        good.replace("$2b$04$", "$2b$4$"),
        good.replace("$2b$04$", "$2y$04$"),
        good.replace("0a1b2c3d", "ffffffff"),
        good.replace("0a1b2c3d", ""),
        "v1$0a1b2c3d$$2b$04$" + "é" * 53,
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA",
        "\0",
        "\ud800",
    ]


@pytest.mark.parametrize("stored", _malformed(), ids=[f"form {number}" for number in range(len(_malformed()))])
def test_LG_01_an_unknown_scheme_pepper_or_form_costs_a_dummy_and_is_false(stored: str, rounds: list[int]) -> None:
    assert HASHER.verify("the right password", stored) is False
    assert sum(rounds) == 1 << 4
    assert HASHER.needs_rehash(stored)


def test_LG_01_a_salt_that_bcrypt_refuses_costs_a_dummy_and_is_false(rounds: list[int]) -> None:
    assert HASHER.verify("the right password", "v1$0a1b2c3d$$2b$04$" + "z" * 53) is False
    assert sum(rounds) == 1 << 4


def test_LG_01_no_account_costs_what_a_wrong_password_costs(rounds: list[int]) -> None:
    hasher = PasswordHasher(PEPPER, "0a1b2c3d", 6)
    stored = hasher.hash("the right password")
    rounds.clear()
    assert hasher.verify("a wrong password", None) is False
    nobody = sum(rounds)
    rounds.clear()
    assert hasher.verify("a wrong password", stored) is False
    assert nobody == sum(rounds) == 1 << 6


@pytest.mark.parametrize("cost", [4, 5, 6, 7])
@pytest.mark.parametrize("password", ["the right password", "a wrong password"])
def test_LG_01_a_hash_of_an_older_cost_is_topped_up_to_the_price_of_the_current_one(
    cost: int, password: str, rounds: list[int]
) -> None:
    stored = PasswordHasher(PEPPER, "0a1b2c3d", cost).hash("the right password")
    rounds.clear()
    hasher = PasswordHasher(PEPPER, "0a1b2c3d", 7)
    assert hasher.verify(password, stored) is (password == "the right password")
    assert sum(rounds) == 1 << 7


def test_LG_01_the_dummy_never_matches() -> None:
    assert not any(HASHER.verify(password, None) for password in ("", "dummy", "0" * 64))


def test_PW_05_only_the_current_scheme_pepper_and_cost_need_no_rehash() -> None:
    stored = HASHER.hash("the right password")
    assert not HASHER.needs_rehash(stored)
    assert PasswordHasher(PEPPER, "0a1b2c3d", 5).needs_rehash(stored)
    assert PasswordHasher(PEPPER, "ffffffff", 4).needs_rehash(stored)
    assert HASHER.needs_rehash(PasswordHasher(PEPPER, "0a1b2c3d", 5).hash("the right password"))


def test_the_pepper_is_not_shown() -> None:
    assert "ppp" not in repr(HASHER)


def test_a_lone_surrogate_is_a_password_like_any_other() -> None:
    assert HASHER.verify("\ud800 pass phrase", HASHER.hash("\ud800 pass phrase"))
    assert not HASHER.verify("\ud801 pass phrase", HASHER.hash("\ud800 pass phrase"))


def test_measuring_runs_the_asked_cost_and_gives_seconds(rounds: list[int]) -> None:
    assert 0 < measure(5) < 5
    assert set(rounds) == {1 << 5}
