"""Access tokens: signed JWTs of one kind, `at+jwt` (design §6, JW-01, JW-02)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from identity.crypto import compact_jws
from identity.crypto.compact_jws import refuse
from identity.crypto.signing_keys import PublicKey, SigningKey
from identity.crypto.verified_tokens import Verified, VerifiedTokens
from identity.domain.errors import TokenExpired, Unauthenticated
from identity.domain.tokens import AccessClaims

MAX_TOKEN_CHARACTERS: Final = 4096
TOKEN_TYPE: Final = "at+jwt"

_RESERVED = frozenset(
    {"iss", "aud", "sub", "sid", "tid", "role", "lvl", "amr", "auth_time", "jti", "iat", "nbf", "exp", "scope"}
)
_LAST_SECOND = 253_402_300_799  # of the year 9999, the last that a datetime holds


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of one moment; a rotation makes a new one, so that no call sees half a change."""

    signing: SigningKey
    verifying: Mapping[str, PublicKey]

    @classmethod
    def at(cls, now: datetime, keys: Iterable[SigningKey]) -> KeySet:
        """Picks what `now` asks for: the youngest key that may sign, and all that are published.

        A node whose clock is behind signs with the first key that is to come, where there is no other: the one that a
        node ahead of it made a moment ago (F-10). Raises `LookupError` when none may sign.
        """
        keys = list(keys)
        due = [key for key in keys if key.signs_from <= now < key.signs_until]
        coming = [key for key in keys if now < key.signs_from]
        if not due and not coming:
            raise LookupError("no key may sign at this moment")
        return cls(
            signing=max(due, key=_signs_from) if due else min(coming, key=_signs_from),
            verifying={key.kid: key.public_key for key in keys if now < key.published_until},
        )


class AccessTokens:
    """Mints and verifies the access tokens of one issuer and audience.

    `keys` is asked on every call, so that a swapped key set counts at once. Safe from several threads.
    """

    def __init__(
        self,
        issuer: str,
        audience: str,
        keys: Callable[[], KeySet],
        leeway: timedelta = timedelta(seconds=5),
        remembered: int = 4096,
    ) -> None:
        """Allows clocks to be apart by `leeway`, and keeps up to `remembered` verified tokens (2 KiB each)."""
        self._issuer = issuer
        self._audience = audience
        self._keys = keys
        self._leeway = leeway.total_seconds()
        self._verified = VerifiedTokens(remembered)

    def mint(self, claims: AccessClaims, extra: Mapping[str, object] | None = None) -> str:
        """Signs `claims`, with the claims of `extra` on top of `claims.extra`.

        Raises `ValueError` if an extra claim has the name of one of ours, or the token would be longer
        than `verify` reads.
        """
        payload = self._payload(claims, {**claims.extra, **(extra or {})})
        token = compact_jws.sign(payload, TOKEN_TYPE, self._keys().signing)
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise ValueError("too many claims for an access token")
        return token

    def verify(self, token: str, now: datetime) -> AccessClaims:
        """Reads a token that this issuer signed for this audience and that is good at `now`.

        Raises `TokenExpired` if being late is all that is wrong with it, else `Unauthenticated`, which
        never says what. Whether the session still lives is not in the token (SE-04).
        """
        if len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            raise Unauthenticated
        keys = self._keys()
        moment = now.timestamp()
        digest = hashlib.sha256(token.encode("ascii")).digest()
        claims = self._verified.get(keys, digest, moment)
        if claims is not None:
            return claims
        try:
            verified = self._read(compact_jws.read(token, TOKEN_TYPE, keys.verifying))
        except ValueError:
            raise Unauthenticated from None
        if moment < verified.valid_from:
            raise Unauthenticated
        if moment >= verified.valid_until + self._leeway:
            raise TokenExpired
        self._verified.put(keys, digest, verified)
        return verified.claims

    def _payload(self, claims: AccessClaims, extra: Mapping[str, object]) -> dict[str, object]:
        if not _RESERVED.isdisjoint(extra):
            raise ValueError(f"not for a product to set: {', '.join(sorted(_RESERVED & extra.keys()))}")
        payload: dict[str, object] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(claims.account_id),
            "sid": str(claims.session_id),
            "amr": claims.amr,
            "auth_time": int(claims.authenticated_at.timestamp()),
            "jti": claims.jti,
            "iat": int(claims.issued_at.timestamp()),
            "exp": int(claims.expires_at.timestamp()),
        }
        if claims.tenant_id is not None:
            payload["tid"] = str(claims.tenant_id)
        if claims.role is not None:
            payload["role"] = claims.role
        if claims.level is not None:
            payload["lvl"] = claims.level
        if claims.scope is not None:
            payload["scope"] = claims.scope
        payload.update(extra)
        return payload

    def _read(self, claims: dict[str, Any]) -> Verified:
        """Checks everything but the time. Raises `ValueError` for claims that `mint` would not have made."""
        if claims.pop("iss", None) != self._issuer or claims.pop("aud", None) != self._audience:
            refuse("not from here or not for here")
        issued_at = _second(claims.pop("iat", None))
        not_before = _second(claims.pop("nbf", issued_at))
        expires_at = _second(claims.pop("exp", None))
        return Verified(
            valid_from=max(issued_at, not_before) - self._leeway,
            valid_until=expires_at,
            claims=AccessClaims(
                account_id=UUID(_text(claims.pop("sub", None))),
                session_id=UUID(_text(claims.pop("sid", None))),
                tenant_id=UUID(_text(claims.pop("tid"))) if "tid" in claims else None,
                role=_text(claims.pop("role")) if "role" in claims else None,
                level=_integer(claims.pop("lvl")) if "lvl" in claims else None,
                amr=_texts(claims.pop("amr", None)),
                authenticated_at=_moment(_second(claims.pop("auth_time", None))),
                issued_at=_moment(issued_at),
                expires_at=_moment(expires_at),
                jti=_text(claims.pop("jti", None)),
                scope=_text(claims.pop("scope")) if "scope" in claims else None,
                extra=MappingProxyType(claims),  # what is left
            ),
        )


def _signs_from(key: SigningKey) -> datetime:
    return key.signs_from


def _text(value: object) -> str:
    if type(value) is not str or not value:
        refuse("not a text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if type(value) is not list:
        refuse("not a list")
    return tuple(_text(item) for item in value)


def _integer(value: object) -> int:
    if type(value) is not int:  # a bool is not one here
        refuse("not an integer")
    return value


def _second(value: object) -> int:
    if not 0 <= _integer(value) <= _LAST_SECOND:
        refuse("not a moment")
    return _integer(value)


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
