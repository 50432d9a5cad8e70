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


# Longer than a server that works waits for a lock (`lock_timeout`, less what the way there takes).
SILENT_SECONDS = 1.9


class NoAnswerError(psycopg.OperationalError):
    """The server did not answer by the deadline; the connection is closed."""

    is_silent = False
    """Whether it had the time in which one that works says something, be it that a lock was not to be had."""


class BoundedConnection(psycopg.Connection[Any]):
    # Monotonic; each unit of work sets its own. At first it bounds what happens while connecting.
    deadline = 0.0

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        begun = monotonic()
        left = self.deadline - begun
        try:
            return super().wait(gen, interval, timeout=max(0.0, left))
        except psycopg.OperationalError:
            if monotonic() < self.deadline:
                raise
            # What the server was asked may still happen; nothing can be read from this connection again.
            self.close()
            failure = NoAnswerError("the server did not answer in time")
            failure.is_silent = monotonic() - begun >= SILENT_SECONDS
            raise failure from None


class CommitInDoubtError(psycopg.OperationalError):
    """The connection went away between the request to commit and its answer (F-13)."""
