"""`identity service-key`: the credentials that backends call with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from identity.cli.output import fail, out, plain_errors, table
from identity.domain.errors import InvalidRequest, NotFound
from identity.domain.ports import World
from identity.domain.service_access import create_service_key, revoke_service_key
from identity.rpc import log
from identity.server import Service
from identity.settings import load_settings
from identity.store import migrate


def create(name: str, scopes: Sequence[str]) -> None:
    """Make a key and print it, the only time it is seen."""
    with plain_errors(), _world() as world:
        try:
            token = create_service_key(world, name, scopes)
        except InvalidRequest as error:
            fail(error.message)
    out.print(token)


def list_all() -> None:
    """Print the keys, by name; never what opens them."""
    with plain_errors(), _world() as world:
        keys = world.database.read(lambda tx: tx.service_keys.all())
        if not keys:
            out.print("There are no service keys yet. Make one: identity service-key create NAME --scope SCOPE")
            return
        rows = [
            (
                key.name,
                " ".join(sorted(key.scopes)),
                f"{key.created_at:%Y-%m-%d %H:%M}",
                f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else "-",
            )
            for key in keys
        ]
        table(("NAME", "SCOPES", "MADE", "REVOKED"), rows)


def revoke(name: str) -> None:
    """End a key; running servers refuse it within two seconds."""
    with plain_errors(), _world() as world:
        try:
            revoke_service_key(world, name)
        except NotFound:
            fail(f"There is no live service key named {name!r}. See: identity service-key list")
    out.print(f"The key {name} is revoked. Servers refuse it within two seconds.")


@contextmanager
def _world() -> Iterator[World]:
    settings = load_settings()
    if missing := migrate.pending(settings.database):
        fail(f"The database's schema is {len(missing)} step(s) behind this version. Run: identity migrate")
    log.configure(level=settings.log_level)  # to the standard error output: the other one is for the key
    service = Service(settings)
    try:
        yield service.world
    finally:
        service.close()
