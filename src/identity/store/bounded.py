"""A psycopg connection that stops waiting at a deadline, whether or not anybody is left to answer.

`statement_timeout` is kept by the server. A server that hangs, or a network that swallows packets, keeps
nothing; without a limit of our own each call would hold its thread until TCP gives up (F-11).
"""

from __future__ import annotations

from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen

RV = TypeVar("RV")


class NoAnswerError(psycopg.OperationalError):
    """The server did not answer by the deadline; the connection is closed."""


class BoundedConnection(psycopg.Connection[Any]):
    # Monotonic; each unit of work sets its own. At first it bounds what happens while connecting.
    deadline = 0.0

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        left = self.deadline - monotonic()
        try:
            return super().wait(gen, interval, timeout=max(0.0, left))
        except psycopg.OperationalError:
            if monotonic() < self.deadline:
                raise
            # What the server was asked may still happen; nothing can be read from this connection again.
            self.close()
            raise NoAnswerError("the server did not answer in time") from None


class CommitInDoubtError(psycopg.OperationalError):
    """The connection went away between the request to commit and its answer (F-13)."""
