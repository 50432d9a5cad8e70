"""Tokens that nobody should accept: corruption (P-12) and the JWT corpus (P-13, JW-01, JW-02)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import string
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from identity.crypto.access_tokens import AccessTokens, KeySet
from identity.crypto.signing_keys import Algorithm, SigningKey, generate
from identity.domain.errors import TokenExpired, Unauthenticated
from identity.domain.tokens import AccessClaims

Sign = Callable[[bytes], bytes]

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ISSUED = int(NOW.timestamp())
ES_KEY = generate("ES256", NOW)
ED_KEY = generate("EdDSA", NOW)
STRANGER = generate("ES256", NOW)
KEYS = KeySet(signing=ES_KEY, verifying={ES_KEY.kid: ES_KEY.public_key, ED_KEY.kid: ED_KEY.public_key})
TOKENS = AccessTokens("https://id.example.com", "identity", lambda: KEYS)
MISSING = object()

HEADER: dict[str, Any] = {"alg": "ES256", "kid": ES_KEY.kid, "typ": "at+jwt"}
PAYLOAD: dict[str, Any] = {
    "iss": "https://id.example.com",
    "aud": "identity",
    "sub": "0192d3f4-5a6b-7c8d-9e0f-112233445566",
    "sid": "0192d3f4-5a6b-7c8d-9e0f-223344556677",
    "tid": "0192d3f4-5a6b-7c8d-9e0f-334455667788",
    "role": "manager",
    "lvl": 50,
    "amr": ["pwd", "otp"],
    "auth_time": ISSUED - 60,
    "jti": "0192d3f45a6b7c8d9e0f445566778899",
    "iat": ISSUED,
    "exp": ISSUED + 900,
}
CLAIMS = AccessClaims(
    account_id=UUID(PAYLOAD["sub"]),
    session_id=UUID(PAYLOAD["sid"]),
    tenant_id=UUID(PAYLOAD["tid"]),
    role="manager",
    level=50,
    amr=("pwd", "otp"),
    authenticated_at=NOW - timedelta(seconds=60),
    issued_at=NOW,
    expires_at=NOW + timedelta(minutes=15),
    jti=PAYLOAD["jti"],
)


def _segment(value: object) -> bytes:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _by(key: SigningKey) -> Sign:
    return lambda message: jwt.get_algorithm_by_name(key.algorithm).sign(message, key.private_key)


def _by_hmac(secret: bytes, name: str = "sha256") -> Sign:
    return lambda message: hmac.digest(secret, message, name)


OURS = _by(ES_KEY)


def _token(header: object = HEADER, payload: object = PAYLOAD, sign: Sign = OURS) -> str:
    """A token with any header and payload (bytes are taken as they are) and a signature over them."""
    signing_input = _segment(header) + b"." + _segment(payload)
    return (signing_input + b"." + base64.urlsafe_b64encode(sign(signing_input)).rstrip(b"=")).decode()


def _without(members: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in members.items() if key != name}


def _accepted(token: str) -> bool:
    try:
        TOKENS.verify(token, NOW)
    except Unauthenticated as refusal:
        assert refusal.args == (Unauthenticated.message,)
        assert refusal.__suppress_context__ or refusal.__context__ is None
        assert (refusal.field, refusal.retry_after, refusal.metadata) == (None, None, {})
        return False
    return True


def test_the_forger_can_write_a_good_token_so_that_refusals_mean_something() -> None:
    assert TOKENS.verify(_token(), NOW) == CLAIMS
    assert _accepted(_token({**HEADER, "alg": "EdDSA", "kid": ED_KEY.kid}, sign=_by(ED_KEY)))


# P-13: the corpus.

PEM = ES_KEY.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DER = ES_KEY.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
POINT = ES_KEY.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

CORPUS_ALGORITHMS = [
    *("ES256", "EdDSA", "Ed25519", "HS256", "HS384", "HS512", "RS256", "PS256", "ES384", "ES256K"),
    *("none", "None", "NONE", "es256", "ES256 ", "", 0, None, True, ["ES256"], {"ES256": 1}, MISSING),
]
CORPUS_KIDS = [
    *(ES_KEY.kid, ED_KEY.kid, STRANGER.kid, "", ES_KEY.kid + " ", ES_KEY.kid.swapcase()),
    *("../../../../dev/null", "' OR '1'='1", "\0", "\ud800", 0, None, [ES_KEY.kid], {}, MISSING),
]
CORPUS_TYPES = ["at+jwt", "AT+JWT", "application/at+jwt", "JWT", "mfa+jwt", "at+jwt ", "", None, ["at+jwt"], MISSING]
CORPUS_SIGNATURES: dict[str, Sign] = {
    "the right key": _by(ES_KEY),
    "a stranger's key": _by(STRANGER),
    "our key of the other algorithm": _by(ED_KEY),
    "HMAC with the public PEM": _by_hmac(PEM),
    "HMAC with nothing": _by_hmac(b""),
    "nothing": lambda _: b"",
}


@pytest.mark.parametrize("signature", CORPUS_SIGNATURES)
def test_P_13_of_all_algorithms_kids_types_and_keys_exactly_one_cell_per_key_is_accepted(signature: str) -> None:
    accepted = []
    for alg, kid, typ in itertools.product(CORPUS_ALGORITHMS, CORPUS_KIDS, CORPUS_TYPES):
        members = {"alg": alg, "kid": kid, "typ": typ}
        header = {name: value for name, value in members.items() if value is not MISSING}
        if _accepted(_token(header, sign=CORPUS_SIGNATURES[signature])):
            accepted.append((alg, kid, typ))
    only = {
        "the right key": [("ES256", ES_KEY.kid, "at+jwt")],
        "our key of the other algorithm": [("EdDSA", ED_KEY.kid, "at+jwt")],
    }
    assert accepted == only.get(signature, [])


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize(
    "secret",
    [
        *(PEM, PEM.strip(), PEM.replace(b"\n", b""), DER, POINT, POINT[1:]),
        *(ES_KEY.kid.encode(), json.dumps(dict(ES_KEY.public_jwk)).encode(), b"", b"secret"),
    ],
)
def test_JW_01_the_public_key_as_hmac_secret_is_refused(secret: bytes, name: str) -> None:
    for alg in ("HS" + name[3:], "ES256"):
        assert not _accepted(_token({**HEADER, "alg": alg}, sign=_by_hmac(secret, name)))


STRANGERS_JWK = dict(STRANGER.public_jwk)


@pytest.mark.parametrize("sign", [_by(ES_KEY), _by(STRANGER)], ids=["our key", "a stranger's key"])
@pytest.mark.parametrize("kid", [ES_KEY.kid, STRANGER.kid])
@pytest.mark.parametrize(
    "more",
    [
        {"jku": "https://evil.example/jwks.json"},
        {"jwk": STRANGERS_JWK},
        {"jwk": None},
        {"x5u": "https://evil.example/cert.pem"},
        {"x5c": ["MIIB"]},
        {"x5t": "x"},
        {"x5t#S256": "x"},
        {"crit": []},
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"b64": True},
        {"cty": "JWT"},
        {"enc": "A128GCM"},
        {"zip": "DEF"},
        {"p2c": 2_000_000_000},
        {"Kid": ES_KEY.kid},
        {"": ""},
    ],
    ids=lambda header: next(iter(header), "nothing"),
)
def test_JW_01_a_header_with_anything_but_alg_kid_and_typ_is_refused(
    more: dict[str, Any], kid: str, sign: Sign
) -> None:
    assert not _accepted(_token({**HEADER, "kid": kid, **more}, sign=sign))


@pytest.mark.parametrize("name", ["alg", "kid", "typ"])
def test_JW_01_a_header_member_that_is_there_twice_is_refused(name: str) -> None:
    good = json.dumps(HEADER)
    for other in ("none", HEADER[name]):
        twice = json.dumps({name: other})[:-1] + ", " + good[1:]
        assert json.loads(twice) == HEADER
        assert not _accepted(_token(twice.encode()))


def test_JW_01_a_blank_signature_of_zeros_is_refused() -> None:
    # CVE-2022-21449: r = s = 0 verified for every message.
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    numbers = (0, 1, order - 1, order, order + 1, 2**256 - 1)
    for r, s in itertools.product(numbers, numbers):
        assert not _accepted(_token(sign=lambda _, r=r, s=s: r.to_bytes(32, "big") + s.to_bytes(32, "big")))  # type: ignore[misc]


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 96, 128, 1000])
def test_JW_01_a_signature_of_another_length_is_refused(length: int) -> None:
    assert not _accepted(_token(sign=lambda message: (_by(ES_KEY)(message) * 20)[:length]))
    header = {**HEADER, "alg": "EdDSA", "kid": ED_KEY.kid}
    assert not _accepted(_token(header, sign=lambda message: (_by(ED_KEY)(message) * 20)[:length]))


def test_JW_01_a_signature_in_der_is_refused() -> None:
    assert isinstance(ES_KEY.private_key, ec.EllipticCurvePrivateKey)
    private_key = ES_KEY.private_key
    assert not _accepted(_token(sign=lambda message: private_key.sign(message, ec.ECDSA(SHA256()))))


def test_JW_01_a_good_signature_over_another_payload_is_refused() -> None:
    header, payload, signature = _token().split(".")
    admin = _segment({**PAYLOAD, "role": "admin", "lvl": 100}).decode()
    assert not _accepted(f"{header}.{admin}.{signature}")
    other_header, _, _ = _token({"typ": "at+jwt", "kid": ES_KEY.kid, "alg": "ES256"}).split(".")
    assert other_header != header
    assert not _accepted(f"{other_header}.{payload}.{signature}")


# JW-02: claims, all properly signed.

NOT_TEXT: list[Any] = [None, 0, 1, True, 1.5, [], ["x"], {}, {"x": 1}, ""]
NOT_UUID: list[Any] = [*NOT_TEXT, "x", "0192d3f4", PAYLOAD["sub"] + "0", PAYLOAD["sub"][:-1] + "g", [PAYLOAD["sub"]]]
NOT_SECONDS: list[Any] = [
    *(None, True, False, "", "x", str(ISSUED + 900), ISSUED + 900.0, 1e400, [], [ISSUED + 900], {}),
    *(-1, -(2**63), 2**63, 2**64, 10**30, 10**300, 253_402_300_800),
]
WRONG: dict[str, list[Any]] = {
    "iss": [
        *NOT_TEXT,
        *("https://id.example.com/", "HTTPS://id.example.com", "https://id.example.co", " https://id.example.com"),
        *(["https://id.example.com"], "https://evil.example"),
    ],
    "aud": [*NOT_TEXT, ["identity"], ["identity", "other"], "Identity", "identity ", "other", "https://id.example.com"],
    "sub": NOT_UUID,
    "sid": NOT_UUID,
    "tid": NOT_UUID,
    "role": NOT_TEXT,
    "lvl": [None, True, "50", "", 1.5, 50.0, [], {}],
    "amr": [None, "pwd", 1, True, {}, {"pwd": 1}, [None], [1], [["pwd"]], [""]],
    "auth_time": NOT_SECONDS,
    "jti": NOT_TEXT,
    "iat": [*NOT_SECONDS, ISSUED + 6, ISSUED + 86_400],
    "nbf": [*NOT_SECONDS, ISSUED + 6, ISSUED + 86_400],
    "exp": NOT_SECONDS,
    "scope": NOT_TEXT,
}


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "sid", "amr", "auth_time", "jti", "iat", "exp"])
def test_JW_02_a_token_without_a_required_claim_is_refused(name: str) -> None:
    assert not _accepted(_token(payload=_without(PAYLOAD, name)))


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_JW_02_a_claim_of_another_type_or_value_is_refused(name: str, value: object) -> None:
    assert not _accepted(_token(payload={**PAYLOAD, name: value}))


@pytest.mark.parametrize("name", [*PAYLOAD, "unknown"])
def test_M9_a_claim_that_is_there_twice_is_refused(name: str) -> None:
    good = json.dumps({**PAYLOAD, "unknown": 1})
    twice = json.dumps({name: "x"})[:-1] + ", " + good[1:]
    assert json.loads(twice) == json.loads(good)
    assert not _accepted(_token(payload=twice.encode()))
    assert _accepted(_token(payload=good.encode()))


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_JW_02_numbers_that_json_does_not_have_are_refused(constant: str) -> None:
    payload = json.dumps({**PAYLOAD, "x": 0})[:-2] + constant + "}"
    assert not _accepted(_token(payload=payload.encode()))


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"null", b"[]", b"1", b'"x"', b"{", b"{}x", b"\xff", b"\xef\xbb\xbf{}", b"{'a':1}", b"[" * 1500),
        *(b'{"a":' * 500, json.dumps(PAYLOAD).encode("utf-16"), json.dumps(PAYLOAD).encode()[:-1]),
    ],
)
def test_P_13_what_is_no_json_object_is_refused_in_either_place(raw: bytes) -> None:
    assert not _accepted(_token(header=raw))
    assert not _accepted(_token(payload=raw))


def test_JW_02_the_other_issuer_and_audience_of_a_second_product_are_refused() -> None:
    for issuer, audience in (("https://id2.example.com", "identity"), ("https://id.example.com", "identity-2")):
        assert not _accepted(AccessTokens(issuer, audience, lambda: KEYS).mint(CLAIMS))


def test_JW_02_expired_is_only_said_of_a_token_that_is_otherwise_good() -> None:
    late = {**PAYLOAD, "iat": ISSUED - 1000, "exp": ISSUED - 100}
    with pytest.raises(TokenExpired):
        TOKENS.verify(_token(payload=late), NOW)
    assert not _accepted(_token(payload=late, sign=_by(STRANGER)))
    assert not _accepted(_token(payload={**late, "aud": "other"}))
    assert not _accepted(_token({**HEADER, "typ": "JWT"}, late))
    assert not _accepted(_token(payload=_without(late, "sid")))
    assert not _accepted(_token(payload={**late, "nbf": ISSUED + 100}))


def test_JW_02_nbf_counts_when_it_is_there() -> None:
    assert not _accepted(_token(payload={**PAYLOAD, "nbf": ISSUED + 6}))
    assert _accepted(_token(payload={**PAYLOAD, "nbf": ISSUED + 5}))


# P-12: corruption.


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_P_12_every_flipped_bit_of_every_character_is_refused(algorithm: Algorithm) -> None:
    keys = KeySet.at(NOW, [generate(algorithm, NOW)])
    tokens = AccessTokens("https://id.example.com", "identity", lambda: keys)
    token = tokens.mint(CLAIMS)
    assert tokens.verify(token, NOW)  # so that a memory that mixed tokens up would show
    for position in range(len(token)):
        for bit in range(8):
            altered = token[:position] + chr(ord(token[position]) ^ 1 << bit) + token[position + 1 :]
            with pytest.raises(Unauthenticated):
                tokens.verify(altered, NOW)


def test_P_12_every_truncation_and_extension_is_refused() -> None:
    token = _token()
    for length in range(len(token)):
        assert not _accepted(token[:length])
        assert not _accepted(token[length + 1 :])
    for more in ("=", "==", "A", "AAAA", ".", "..", ".A", "\n", " ", "\0", token, "." + token):
        assert not _accepted(token + more)
        assert not _accepted(more + token)


def test_P_12_the_last_character_has_one_spelling() -> None:
    # 64 bytes leave 4 spare bits in the last character: a lenient decoder takes 16 spellings.
    token = TOKENS.mint(CLAIMS)
    alphabet = string.ascii_letters + string.digits + "-_+/="
    assert [character for character in alphabet if _accepted(token[:-1] + character)] == [token[-1]]


def test_P_12_no_other_spelling_of_the_segments_is_accepted() -> None:
    header, payload, signature = TOKENS.mint(CLAIMS).split(".")
    for padding in ("=", "=="):
        for spelling in (
            f"{header}{padding}.{payload}.{signature}",
            f"{header}.{payload}{padding}.{signature}",
            f"{header}.{payload}.{signature}{padding}",
            f"{header}.{payload}.{padding}{signature}",
        ):
            assert not _accepted(spelling)
    for foreign in ("\n", " ", "!", "%", "\t"):
        assert not _accepted(f"{header}.{payload}.{signature[:10]}{foreign}{signature[10:]}")
        assert not _accepted(f"{header}.{payload}.{foreign * 4}{signature}")
    for other in (signature.swapcase(), signature.upper(), "\n".join(signature)):
        assert not _accepted(f"{header}.{payload}.{other}")


def test_P_12_the_standard_alphabet_is_refused() -> None:
    seen = 0
    for counter in range(40):
        token = _token(payload={**PAYLOAD, "jti": str(counter)})
        head, _, signature = token.rpartition(".")
        if set("-_") & set(signature):
            seen += 1
            assert not _accepted(head + "." + signature.replace("-", "+").replace("_", "/"))
            assert _accepted(token)
    assert seen > 10


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d.e", "e30.e30.", ".e30.e30", "e30..", "Bearer x"),
        *("\0", "é", "\ud800", "ａ.ｂ.ｃ", "=" * 100, "." * 4096, "A" * 4096, "A" * 4097, "A" * 5_000_000),
        json.dumps({"payload": "e30", "signatures": []}),
    ],
)
def test_P_12_text_that_is_no_token_is_refused(text: str) -> None:
    assert not _accepted(text)


@given(
    st.text() | st.lists(st.binary(max_size=80), max_size=5).map(lambda parts: b".".join(map(_segment, parts)).decode())
)
def test_P_12_garbage_is_refused_and_never_another_error(garbage: str) -> None:
    assert not _accepted(garbage)


def test_M10_a_token_of_4096_characters_is_read_and_a_longer_one_is_not() -> None:
    base = len(_token(payload={**PAYLOAD, "x": ""}))
    filler = (4096 - base) * 3 // 4
    sizes = {}
    for more in range(filler - 4, filler + 5):
        token = _token(payload={**PAYLOAD, "x": "y" * more})
        sizes[len(token)] = _accepted(token)
    assert {size: size <= 4096 for size in sizes} == sizes
    assert {True, False} == set(sizes.values())


def test_the_digest_of_the_memory_is_of_the_whole_token() -> None:
    # One that shares all but the signature with a remembered token is checked for itself.
    token = _token()
    assert _accepted(token)
    header, payload, _ = token.split(".")
    assert not _accepted(f"{header}.{payload}.{_segment(hashlib.sha512(b'x').digest()).decode()}")
