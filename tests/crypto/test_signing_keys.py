from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from identity.crypto.signing_keys import Algorithm, SigningKey, algorithm_of, generate, jwk
from identity.domain.signing_keys import KEEP_PUBLISHED, LIFETIME

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALGORITHMS: tuple[Algorithm, ...] = ("ES256", "EdDSA")


def _body(pem: bytes) -> str:
    return "".join(pem.decode().splitlines()[1:-1])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_JW_04_the_private_half_is_neither_in_repr_nor_in_the_jwk(algorithm: Algorithm) -> None:
    key = generate(algorithm, NOW)
    assert key.private_key  # loaded, and still not shown
    for shown in (repr(key), str(key), f"{key}", json.dumps(dict(key.public_jwk))):
        assert "PRIVATE" not in shown
        assert _body(key.private_pem)[:20] not in shown
    assert "d" not in key.public_jwk


def test_JW_04_a_key_that_cannot_be_read_is_an_error_without_its_text() -> None:
    broken = generate("EdDSA", NOW).to_bytes().replace(b"BEGIN", b"BEGUN")
    with pytest.raises(ValueError, match="not a signing key") as refusal:
        SigningKey.from_bytes(broken)
    assert refusal.value.__suppress_context__
    assert refusal.value.args == ("not a signing key",)


@given(st.binary(max_size=100))
def test_garbage_is_no_signing_key(garbage: bytes) -> None:
    with pytest.raises(ValueError, match="not a signing key"):
        SigningKey.from_bytes(garbage)


@pytest.mark.parametrize("garbage", [b"{}", b"[]", b"null", b'{"private_pem": 1}', b'{"private_pem": "x"}', b"\xff"])
def test_json_of_something_else_is_no_signing_key(garbage: bytes) -> None:
    with pytest.raises(ValueError, match="not a signing key"):
        SigningKey.from_bytes(garbage)


def test_JW_01_a_key_of_another_algorithm_is_refused() -> None:
    written = json.loads(generate("ES256", NOW).to_bytes())
    for foreign in (
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
    ):
        written["private_pem"] = foreign.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        with pytest.raises(ValueError, match="not a signing key"):
            SigningKey.from_bytes(json.dumps(written).encode())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_survives_being_written_and_read(algorithm: Algorithm) -> None:
    key = generate(algorithm, NOW)
    read = SigningKey.from_bytes(key.to_bytes())
    assert read == key
    assert all(getattr(read, field.name) == getattr(key, field.name) for field in fields(SigningKey))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_JW_01_a_key_knows_its_one_algorithm(algorithm: Algorithm) -> None:
    key = generate(algorithm, NOW)
    assert key.algorithm == algorithm_of(key.public_key) == key.public_jwk["alg"] == algorithm


def test_no_two_keys_are_equal() -> None:
    assert generate("EdDSA", NOW) != generate("EdDSA", NOW)
    assert len({generate("ES256", NOW).kid for _ in range(50)}) == 50


def test_the_thumbprint_is_that_of_the_example_in_rfc_8037() -> None:
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    public_key = ed25519.Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "="))
    assert jwk(public_key) == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": x,
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "alg": "EdDSA",
        "use": "sig",
    }


def test_the_thumbprint_of_an_ec_key_covers_crv_kty_x_and_y_in_this_order() -> None:
    key = generate("ES256", NOW)
    x, y = key.public_jwk["x"], key.public_jwk["y"]
    text = f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'
    assert base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode() == key.kid + "="


def test_coordinates_with_leading_zeros_keep_their_32_bytes() -> None:
    # This private number gives a point whose x begins with a zero byte.
    number = next(
        number
        for number in range(1, 3000)
        if ec.derive_private_key(number, ec.SECP256R1()).public_key().public_numbers().x >> 248 == 0
    )
    described = jwk(ec.derive_private_key(number, ec.SECP256R1()).public_key())
    assert len(described["x"]) == len(described["y"]) == 43


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_JW_04_a_verifier_that_only_has_the_jwk_can_verify(algorithm: Algorithm) -> None:
    key = generate(algorithm, NOW)
    token = jwt.encode({"sub": "x"}, key.private_pem, algorithm=algorithm)
    assert jwt.decode(token, jwt.PyJWK(dict(key.public_jwk)), algorithms=[algorithm]) == {"sub": "x"}
    assert load_pem_private_key(key.private_pem, password=None)


def test_JW_04_a_key_is_published_before_it_signs_and_until_its_last_token_is_dead() -> None:
    key = generate("ES256", NOW, signs_from=NOW + timedelta(hours=1))
    assert key.created_at == NOW
    assert key.signs_from == NOW + timedelta(hours=1)
    assert key.signs_until == key.signs_from + LIFETIME
    assert key.published_until == key.signs_until + KEEP_PUBLISHED
    assert timedelta(hours=8, seconds=5) < KEEP_PUBLISHED  # JW-03: the longest life of an access token


def test_the_first_key_signs_at_once_and_its_time_table_can_be_chosen() -> None:
    key = generate("ES256", NOW, lifetime=timedelta(days=1), keep_published=timedelta(hours=2))
    assert (key.signs_from, key.signs_until) == (NOW, NOW + timedelta(days=1))
    assert key.published_until == NOW + timedelta(days=1, hours=2)


def test_an_early_rotation_ends_the_signing_of_a_key_without_changing_it() -> None:
    key = generate("ES256", NOW)
    ended = replace(key, signs_until=NOW + timedelta(minutes=5))
    assert ended.kid == key.kid
    assert SigningKey.from_bytes(ended.to_bytes()) == ended
