"""The key pairs that sign access tokens, and the time table of each."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from identity.domain.signing_keys import KEEP_PUBLISHED, LIFETIME

Algorithm = Literal["ES256", "EdDSA"]
PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey
PublicKey = EllipticCurvePublicKey | Ed25519PublicKey

_COORDINATE_BYTES = 32


@dataclass(frozen=True)
class SigningKey:
    """One key pair: it signs within [signs_from, signs_until) and is published until `published_until`.

    All moments are in UTC. `kid` is the RFC 7638 thumbprint of the public half.
    """

    kid: str
    algorithm: Algorithm
    private_pem: bytes = field(repr=False)
    public_jwk: Mapping[str, str] = field(compare=False)  # follows from the private half
    created_at: datetime
    signs_from: datetime
    signs_until: datetime
    published_until: datetime

    @cached_property
    def private_key(self) -> PrivateKey:
        """Loads the private half once; loading costs more than signing."""
        return _load(self.private_pem)

    @cached_property
    def public_key(self) -> PublicKey:
        """Gives the half that verifies."""
        return self.private_key.public_key()

    def to_bytes(self) -> bytes:
        """Writes the key as JSON for the vault: it holds the private half, so seal it before it is stored.

        The time table is the one of this moment; if the row next to it was changed since, the row counts.
        """
        return json.dumps(
            {
                "private_pem": self.private_pem.decode("ascii"),
                "created_at": self.created_at.isoformat(),
                "signs_from": self.signs_from.isoformat(),
                "signs_until": self.signs_until.isoformat(),
                "published_until": self.published_until.isoformat(),
            }
        ).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> SigningKey:
        """Reads what `to_bytes` wrote. Raises `ValueError` for anything else."""
        try:
            fields = json.loads(data)
            return _signing_key(
                _load(fields["private_pem"].encode()),
                created_at=datetime.fromisoformat(fields["created_at"]),
                signs_from=datetime.fromisoformat(fields["signs_from"]),
                signs_until=datetime.fromisoformat(fields["signs_until"]),
                published_until=datetime.fromisoformat(fields["published_until"]),
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            # The cause may quote the private half.
            raise ValueError("not a signing key") from None


def generate(
    algorithm: Algorithm,
    now: datetime,
    *,
    signs_from: datetime | None = None,
    lifetime: timedelta = LIFETIME,
    keep_published: timedelta = KEEP_PUBLISHED,
) -> SigningKey:
    """Makes a new key pair that signs from `signs_from` (`now` if not given) for `lifetime`.

    A key that follows another one starts later than `now`, so that every verifier has fetched it before
    its first signature (JW-04). `keep_published`, more than the longest life of a token, is how long it
    stays in the JWKS after its last one.
    """
    private_key: PrivateKey
    private_key = generate_private_key(SECP256R1()) if algorithm == "ES256" else Ed25519PrivateKey.generate()
    starts = signs_from or now
    return _signing_key(
        private_key,
        created_at=now,
        signs_from=starts,
        signs_until=starts + lifetime,
        published_until=starts + lifetime + keep_published,
    )


def algorithm_of(public_key: PublicKey) -> Algorithm:
    """Names the one algorithm that this key may be used with (JW-01)."""
    return "EdDSA" if isinstance(public_key, Ed25519PublicKey) else "ES256"


def jwk(public_key: PublicKey) -> dict[str, str]:
    """Describes the public half as it is published in the JWKS (RFC 7517), with `kid`, `alg` and `use`."""
    if isinstance(public_key, Ed25519PublicKey):
        raw = public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        required = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(raw)}
    else:
        point = public_key.public_numbers()
        required = {
            "crv": "P-256",
            "kty": "EC",
            "x": _base64url(point.x.to_bytes(_COORDINATE_BYTES, "big")),
            "y": _base64url(point.y.to_bytes(_COORDINATE_BYTES, "big")),
        }
    return {**required, "kid": _thumbprint(required), "alg": algorithm_of(public_key), "use": "sig"}


def _thumbprint(required: Mapping[str, str]) -> str:
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _signing_key(
    private_key: PrivateKey,
    *,
    created_at: datetime,
    signs_from: datetime,
    signs_until: datetime,
    published_until: datetime,
) -> SigningKey:
    public_key = private_key.public_key()
    public_jwk = jwk(public_key)
    return SigningKey(
        kid=public_jwk["kid"],
        algorithm=algorithm_of(public_key),
        private_pem=private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        public_jwk=public_jwk,
        created_at=created_at,
        signs_from=signs_from,
        signs_until=signs_until,
        published_until=published_until,
    )


def _load(private_pem: bytes) -> PrivateKey:
    key = load_pem_private_key(private_pem, password=None)
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        return key
    raise ValueError("neither a P-256 nor an Ed25519 key")
