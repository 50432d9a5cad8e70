from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.crypto.keyring import Keyring
from identity.crypto.vault import Vault
from identity.domain.ports import VaultError

VAULT = Vault(Keyring("a" * 32))
CONTEXT = "factors/0192/seed"


def test_CR_01_every_flipped_bit_is_noticed() -> None:
    sealed = VAULT.seal(b"seed", CONTEXT)
    for position in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[position // 8] ^= 1 << position % 8
        with pytest.raises(VaultError):
            VAULT.open(bytes(altered), CONTEXT)


def test_CR_01_every_truncation_and_extension_is_noticed() -> None:
    sealed = VAULT.seal(b"seed", CONTEXT)
    for length in range(len(sealed)):
        with pytest.raises(VaultError):
            VAULT.open(sealed[:length], CONTEXT)
    for more in (b"\0", b"=", sealed):
        with pytest.raises(VaultError):
            VAULT.open(sealed + more, CONTEXT)
        with pytest.raises(VaultError):
            VAULT.open(more + sealed, CONTEXT)


@given(st.binary(max_size=200))
def test_CR_01_garbage_is_a_vault_error_and_nothing_else(garbage: bytes) -> None:
    with pytest.raises(VaultError):
        VAULT.open(garbage, CONTEXT)


def test_OT_01_a_value_moved_to_another_row_does_not_open() -> None:
    sealed = VAULT.seal(b"seed", CONTEXT)
    for other in ("factors/0193/seed", "", CONTEXT + "/", CONTEXT.upper()):
        with pytest.raises(VaultError):
            VAULT.open(sealed, other)


def test_CR_01_another_master_secret_does_not_open_and_is_named_as_the_cause() -> None:
    sealed = Vault(Keyring("b" * 32)).seal(b"seed", CONTEXT)
    with pytest.raises(VaultError, match="another master secret"):
        VAULT.open(sealed, CONTEXT)


def test_a_version_of_the_future_is_named_as_the_cause() -> None:
    sealed = VAULT.seal(b"seed", CONTEXT)
    with pytest.raises(VaultError, match="version"):
        VAULT.open(b"\x02" + sealed[1:], CONTEXT)


def test_the_error_shows_neither_plaintext_nor_sealed_bytes_nor_the_cause() -> None:
    sealed = bytearray(VAULT.seal(b"plain-canary", CONTEXT))
    sealed[-1] ^= 1
    with pytest.raises(VaultError) as refusal:
        VAULT.open(bytes(sealed), CONTEXT)
    assert "canary" not in repr(refusal.value)
    assert refusal.value.__cause__ is None


@given(st.binary(max_size=2000), st.text(max_size=50))
def test_what_was_sealed_opens_in_the_same_context(plaintext: bytes, context: str) -> None:
    assert VAULT.open(VAULT.seal(plaintext, context), context) == plaintext


def test_CR_01_equal_plaintexts_never_seal_to_equal_bytes() -> None:
    nonces = {VAULT.seal(b"seed", CONTEXT)[5:17] for _ in range(10_000)}
    assert len(nonces) == 10_000


def test_CR_01_version_and_key_id_stand_in_front_and_the_plaintext_nowhere() -> None:
    keyring = Keyring("a" * 32)
    sealed = Vault(keyring).seal(b"plain-canary", CONTEXT)
    assert sealed[0] == 1
    assert sealed[1:5].hex() == keyring.key_id
    assert b"canary" not in sealed


def test_threads_share_one_vault() -> None:
    def round_trip(_: int) -> bool:
        plaintext = os.urandom(64)
        return VAULT.open(VAULT.seal(plaintext, CONTEXT), CONTEXT) == plaintext

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(round_trip, range(2000)))
