"""Service access: making, ending and proving the keys that backends call with."""

from __future__ import annotations

from collections.abc import Iterable

from identity.domain.audit import Event, record
from identity.domain.errors import InvalidRequest, NotFound, PermissionDenied, Unauthenticated
from identity.domain.ids import new_id
from identity.domain.ports import Transaction, World
from identity.domain.service_keys import PREFIX, SCOPES, ServiceKey


def create_service_key(world: World, name: str, scopes: Iterable[str]) -> str:
    """Make a key and return it, the only time it is seen. Raises InvalidRequest for a taken name or unknown scope."""
    wanted = frozenset(scopes)
    if not wanted or not wanted <= SCOPES:
        raise InvalidRequest(f"A service key has one or more of these scopes: {', '.join(sorted(SCOPES))}.")
    token = PREFIX + world.secrets.new_token()
    now = world.clock()
    key = ServiceKey(new_id(now), name, wanted, now, world.secrets.digest(token))

    def create(tx: Transaction) -> None:
        if not tx.service_keys.add(key):
            raise InvalidRequest(f"There is a service key named {name!r} already.")
        record(tx.audit, Event.SERVICE_KEY_CREATED, now, name=name, scopes=",".join(sorted(wanted)))

    world.database.write(create)
    return token


def revoke_service_key(world: World, name: str) -> None:
    """End a key at once. Raises NotFound."""
    now = world.clock()

    def revoke(tx: Transaction) -> None:
        if not tx.service_keys.revoke(name, now):
            raise NotFound()
        record(tx.audit, Event.SERVICE_KEY_REVOKED, now, name=name)

    world.database.write(revoke)


def learn_service_keys(world: World) -> None:
    """Bring this process's view of the keys up to date."""
    world.service_keys.learn(world.database.read(lambda tx: tx.service_keys.all()))


def authenticate_service(world: World, token: str, scope: str) -> str:
    """The name of the key that a backend calls with. Raises Unauthenticated, or PermissionDenied without the scope."""
    key = world.service_keys.find(world.secrets.digest(token)) if token.startswith(PREFIX) else None
    if key is None:
        raise Unauthenticated()
    if scope not in key.scopes:
        raise PermissionDenied(scope=scope)
    return key.name
