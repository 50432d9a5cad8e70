from __future__ import annotations

import pytest

from identity.crypto.keyring import Keyring

SECRET = "correct horse battery staple 0123456789"
PURPOSES = ("pepper", "refresh", "device", "sealing", "throttle", "code", "bootstrap")


def test_a_secret_of_31_characters_is_refused_without_being_repeated() -> None:
    with pytest.raises(ValueError, match="32 characters") as refusal:
        Keyring("s3cret!" * 4 + "abc")
    assert "s3cret!" not in str(refusal.value)


def test_a_secret_of_32_characters_is_enough() -> None:
    Keyring("x" * 32)


def test_no_two_purposes_share_a_key() -> None:
    keyring = Keyring(SECRET)
    assert len({getattr(keyring, purpose) for purpose in PURPOSES}) == len(PURPOSES)


def test_no_key_is_the_secret_or_shown_by_repr() -> None:
    keyring = Keyring(SECRET)
    shown = repr(keyring) + str(keyring) + f"{keyring}"
    assert SECRET not in shown
    for purpose in PURPOSES:
        key: bytes = getattr(keyring, purpose)
        assert len(key) == 32
        assert key != SECRET.encode()
        assert key.hex() not in shown
        assert repr(key) not in shown


def test_the_secret_itself_is_not_kept() -> None:
    keyring = Keyring(SECRET)
    assert SECRET not in {getattr(keyring, name) for name in keyring.__slots__}


@pytest.mark.parametrize("purpose", PURPOSES)
def test_another_secret_gives_another_key(purpose: str) -> None:
    assert getattr(Keyring(SECRET), purpose) != getattr(Keyring(SECRET + "!"), purpose)


def test_the_same_secret_gives_the_same_keys_on_every_replica() -> None:
    # Fixed values: a change here means that no stored password, factor or session works any more.
    keyring = Keyring(SECRET)
    assert keyring.key_id == "443df8b5"
    assert keyring.pepper.hex() == "48452f0d7e0faaa116b658a68c98fcaca5a13498e072e45a8a2067385f904c56"
    assert keyring.refresh.hex() == "00bb29e4f4aeb32ea7be376e5e34a8c814c5efaad6da6ac111a5c200fc5c56d2"
    assert keyring.device.hex() == "bd57bc3fa23c3f90a121c9dadcbcda24d5482338c4c1e7548fe12c835c05bd20"
    assert keyring.sealing.hex() == "196e616bdfa2f3d940e025a20e96ba8d7ea24c74283e78d7074201262e940d5b"
    assert keyring.throttle.hex() == "8e9ff48d71c1da1e437cd6eadd5d999c211ce3e5a24e6fea53ff14b8dde4834f"
    assert keyring.code.hex() == "9b1ebe34358ebc9d695724b94012b826414f21f7bc21fa0ef360b70c54a4e8c3"
    assert keyring.bootstrap.hex() == "84d10fbbeefd91a4d36e9c48a73d7c6ffa791ed69a48f58183e19c8da0c1ca93"


def test_the_key_id_is_8_hex_digits_and_names_the_pepper_too() -> None:
    keyring = Keyring(SECRET)
    assert len(keyring.key_id) == 8
    assert set(keyring.key_id) <= set("0123456789abcdef")
    assert keyring.pepper_id == keyring.key_id
    assert keyring.key_id != Keyring(SECRET + "!").key_id


def test_a_secret_from_an_environment_that_is_not_utf8_works() -> None:
    raw = bytes(range(128, 160))
    assert Keyring(raw.decode("utf-8", "surrogateescape")).pepper != Keyring("x" * 32).pepper
