"""The row that closes the first-run set-up."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from identity.store.insert import insert_or_ignore
from identity.store.tables import deployment

_get = select(deployment.c.id)


class Deployment:
    """Implements `domain.deployment.DeploymentStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def is_set_up(self) -> bool:
        return self._connection.execute(_get).first() is not None

    def complete_setup(self, now: datetime) -> bool:
        statement = insert_or_ignore(self._connection, deployment).returning(deployment.c.id)
        return self._connection.execute(statement, {"id": 1, "set_up_at": now}).first() is not None
