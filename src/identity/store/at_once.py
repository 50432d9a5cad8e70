"""Units that are one statement whenever all goes well, in one round trip instead of three."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from sqlalchemy import Connection


def at_once(connection: Connection) -> AbstractContextManager[None]:
    """Commit the statement inside by itself, unless the unit has begun already.

    On PostgreSQL that saves the round trips of BEGIN and COMMIT; on SQLite nothing changes. It is for a
    conditional statement that decides everything: if it changed something the unit is done and raises
    nothing any more, and if it changed nothing the rest of the unit is a transaction as always. Such a
    unit is not run again for a conflict or a lost connection.
    """
    of_driver: Callable[[], AbstractContextManager[None]] | None
    of_driver = getattr(connection.connection.driver_connection, "at_once", None)
    return nullcontext() if of_driver is None else of_driver()
