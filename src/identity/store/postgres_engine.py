"""Connections to PostgreSQL and whatever else speaks its protocol: settings, limits, session state."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any, cast

from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from identity.store.bounded import BoundedConnection

# Written down and enforced (AV-03). A unit has `UNIT_SECONDS` for everything, waiting for a connection
# included, so that its caller hears within 3 s whatever happens (TR-03). The server's own limits end a slow
# statement before that, and so keep a slow query apart from a server that is gone.
UNIT_SECONDS = 2.8
CONNECT_SECONDS = 2
UNIT_SETTINGS = {
    "statement_timeout": 2500,
    "lock_timeout": 2000,
    "idle_in_transaction_session_timeout": 5000,
}

# One round trip per new connection. A server that acknowledges before it has written would lose
# revocations in a crash; a stricter setting, such as remote_apply, stays.
_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
_READ_ONLY = "SELECT set_config('default_transaction_read_only', 'on', false)"


def connection_parameters(url: str, settings: Mapping[str, object]) -> dict[str, Any]:
    """The parameters of libpq for a URL: whatever it says itself wins, and everything it says is passed on.

    So `sslmode`, several hosts and `target_session_attrs` work as PostgreSQL documents them. Raises
    ValueError for a URL that libpq cannot read.
    """
    scheme, separator, rest = url.partition("://")
    try:
        given = conninfo_to_dict(f"{scheme.partition('+')[0]}{separator}{rest}")
    except Exception:
        # The driver's message quotes the URL, password and all.
        raise ValueError("the database URL is not one that PostgreSQL understands") from None
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    defaults = {"connect_timeout": CONNECT_SECONDS, "application_name": "identity"}
    return {**defaults, **given, "options": f"{options} {given.get('options') or ''}".strip()}


def create_postgres_engine(
    url: str, *, read_only: bool = False, settings: Mapping[str, object] = UNIT_SETTINGS
) -> Engine:
    """An engine without a pool; psycopg begins transactions with the first statement, or never if read-only."""
    parameters = connection_parameters(url, {"TimeZone": "UTC", **settings})
    engine = create_engine(
        "postgresql+psycopg://",
        poolclass=NullPool,
        # A read is one round trip per statement: PostgreSQL would give each its own snapshot anyway.
        isolation_level="AUTOCOMMIT" if read_only else "READ COMMITTED",
        hide_parameters=True,
        use_native_hstore=False,
    )

    @event.listens_for(engine, "do_connect")
    def connect(dialect: object, record: object, args: object, kwargs: dict[str, Any]) -> BoundedConnection:
        driver = BoundedConnection.connect(**{**kwargs, **parameters}, autocommit=True)
        driver.deadline = monotonic() + CONNECT_SECONDS
        driver.prepared_max = 500
        driver.execute(_READ_ONLY if read_only else _DURABLE)
        driver.autocommit = False
        return driver

    return engine


def open_connection(engine: Engine) -> tuple[Connection, BoundedConnection]:
    connection = engine.connect()
    return connection, cast(BoundedConnection, connection.connection.driver_connection)
