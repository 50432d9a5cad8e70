"""The compact form of a signed JWT: header.payload.signature, each in base64url (RFC 7515 §7.1).

PyJWT checks signatures. The form around them is read here, because PyJWT is lenient where this
service must not be (padding, repeated members) and spends as much time on the form as on the signature.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NoReturn

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from identity.crypto.signing_keys import Algorithm, PrivateKey, PublicKey, SigningKey, algorithm_of

_ALGORITHMS = {name: jwt.get_algorithm_by_name(name) for name in ("ES256", "EdDSA")}
_ES256 = ECDSA(SHA256())
_COORDINATE_BYTES = 32
_HEADERS = frozenset({"alg", "kid", "typ"})


def sign(claims: Mapping[str, object], typ: str, key: SigningKey) -> str:
    """Writes and signs a token. Raises `ValueError` or `TypeError` for claims that JSON does not have."""
    payload = _encode(claims).encode("ascii")
    signing_input = _header(key.kid, key.algorithm, typ) + b"." + _base64url(payload)
    signature = _signature(signing_input, key.private_key)
    return (signing_input + b"." + _base64url(signature)).decode("ascii")


def read(token: str, typ: str, keys: Mapping[str, PublicKey]) -> dict[str, Any]:
    """Gives the claims of a token of this `typ` that one of `keys` (by `kid`) signed, in its only spelling.

    The key, never the token, says which algorithm counts (JW-01). Raises `ValueError` for anything else.
    """
    signing_input, _, signature = token.encode("ascii").rpartition(b".")
    header, dot, payload = signing_input.partition(b".")
    if not dot:
        refuse("not three segments")
    key = _key_for(_parse(header), typ, keys)
    if not _ALGORITHMS[algorithm_of(key)].verify(signing_input, key, _decoded(signature)):
        refuse("not signed by this key")
    return _parse(payload)


def refuse(why: str) -> NoReturn:
    """Raises the `ValueError` of this module; `why` is for whoever debugs it, never for a client."""
    raise ValueError(why)


@lru_cache(maxsize=32)
def _header(kid: str, algorithm: Algorithm, typ: str) -> bytes:
    return _base64url(_encode({"alg": algorithm, "kid": kid, "typ": typ}).encode("ascii"))


def _signature(data: bytes, key: PrivateKey) -> bytes:
    """Signs as RFC 7518 §3.4 and RFC 8037 §3.1 have it; by hand, since PyJWT takes half as long again for it."""
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(data)
    r, s = decode_dss_signature(key.sign(data, _ES256))
    return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")


def _key_for(header: dict[str, Any], typ: str, keys: Mapping[str, PublicKey]) -> PublicKey:
    # Exactly these three: no jku, jwk, x5u, x5c, crit or b64 can have a say (JW-01).
    if header.keys() != _HEADERS or header["typ"] != typ or type(header["kid"]) is not str:
        refuse("not the header of such a token")
    key = keys.get(header["kid"])
    if key is None or header["alg"] != algorithm_of(key):
        refuse("not a key of ours, or not its algorithm")
    return key


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(members)
    if len(unique) != len(members):
        refuse("a member is there twice")
    return unique


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=refuse).decode


def _parse(segment: bytes) -> dict[str, Any]:
    try:
        value = _decode(_decoded(segment).decode("utf-8"))
    except RecursionError:  # thousands of brackets
        value = None
    if not isinstance(value, dict):
        refuse("not a JSON object")
    return value


def _base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


def _decoded(segment: bytes) -> bytes:
    data = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    # The decoder skips foreign characters and ignores spare bits: one token would have many spellings (P-12).
    if _base64url(data) != segment:
        refuse("not the one spelling of these bytes")
    return data
