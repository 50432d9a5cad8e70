"""IntrospectToken: what an access token means now (RFC 7662, JW-05)."""

from __future__ import annotations

from identity.domain.authentication import check_not_ended
from identity.domain.errors import SessionRevoked, TokenExpired, Unauthenticated
from identity.domain.ports import World
from identity.domain.tokens import AccessClaims


def introspect(world: World, access_token: str) -> AccessClaims | None:
    """The claims of a token that is genuine, unexpired and whose session lives; None for every other kind alike.

    Raises ServiceUnavailable while ended sessions cannot be learned of: no answer is better than a wrong one.
    """
    try:
        claims = world.access_tokens.verify(access_token, world.clock())
        check_not_ended(world, claims)
    except (Unauthenticated, TokenExpired, SessionRevoked):
        return None
    return claims
