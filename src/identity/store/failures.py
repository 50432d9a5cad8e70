"""What an exception of a database driver means to whoever asked for the unit of work.

No value of a row may leave the store inside an error (N-24): PostgreSQL writes the offending value into
the text of its errors, so the texts of failed statements are left behind and only names are kept.
"""

from __future__ import annotations

from enum import Enum, auto

from sqlalchemy.exc import StatementError

from identity.domain.errors import ServiceUnavailable

# Primary result codes of SQLite that speak of the machine or of another process, not of the statement:
# BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB.
_SQLITE_UNAVAILABLE = frozenset({5, 6, 7, 9, 10, 11, 13, 14, 15, 26})
_SQLITE_READ_ONLY = 8

_SERIALIZATION_FAILURE = "40001"
_DEADLOCK = "40P01"
_LOCK_TIMEOUT = "55P03"
# A primary that became a standby keeps its connections but takes no writes any more (F-13).
_READ_ONLY = "25006"
_IDLE_TIMEOUTS = ("25P03", "25P04", "57P05")


class StoreError(Exception):
    """A statement that should not have failed: a fault of ours, told without any value of a row."""


class Verdict(Enum):
    """What can be done about an exception."""

    NOT_OURS = auto()  # it comes from the unit of work itself and leaves as it came
    CONFLICT = auto()  # rolled back by the server because of a neighbour: run it again
    LOST = auto()  # the connection is gone
    STALE = auto()  # the connection lives, but leads to a database that takes no writes
    UNAVAILABLE = auto()  # the database answers that it cannot
    FAULT = auto()  # the statement is wrong


def judge(error: BaseException, *, reading: bool = False) -> Verdict:
    """Sort an exception of SQLAlchemy, sqlite3 or psycopg."""
    verdict = _judge(error)
    # A write in a unit that was to read is refused as it should be.
    return Verdict.FAULT if reading and verdict is Verdict.STALE else verdict


def _judge(error: BaseException) -> Verdict:
    driver = error.orig if isinstance(error, StatementError) else error
    code = getattr(driver, "sqlite_errorcode", None)
    if code is not None:
        return _judge_sqlite(code & 0xFF)
    if driver is not None and hasattr(driver, "sqlstate"):
        return _judge_postgres(driver, driver.sqlstate)
    # A value that a type cannot carry, say; no answer of a database.
    return Verdict.FAULT if isinstance(error, StatementError) else Verdict.NOT_OURS


def _judge_sqlite(code: int) -> Verdict:
    if code == _SQLITE_READ_ONLY:
        return Verdict.STALE
    return Verdict.UNAVAILABLE if code in _SQLITE_UNAVAILABLE else Verdict.FAULT


def _judge_postgres(driver: BaseException, state: str | None) -> Verdict:
    if state is None:
        return Verdict.LOST if _is_broken(driver) else Verdict.FAULT
    if state in (_SERIALIZATION_FAILURE, _DEADLOCK):
        return Verdict.CONFLICT
    if state == _READ_ONLY:
        return Verdict.STALE
    if state in _IDLE_TIMEOUTS or state.startswith(("08", "57P")):
        return Verdict.LOST
    if state == _LOCK_TIMEOUT or state.startswith(("53", "57", "58")):
        return Verdict.UNAVAILABLE
    return Verdict.FAULT


def _is_broken(driver: object) -> bool:
    """Whether the connection failed rather than the server: it broke, could not be made, or gave no answer.

    The driver's own complaints about a value have no code of the server either, but are `DataError`s.
    """
    names = {base.__name__ for base in type(driver).__mro__}
    return getattr(driver, "sqlstate", "") is None and not names.isdisjoint(("OperationalError", "InterfaceError"))


def outward(error: BaseException, verdict: Verdict) -> BaseException:
    """The exception that leaves the store in place of `error`."""
    if verdict is Verdict.NOT_OURS:
        return error
    told = StoreError(describe(error)).with_traceback(error.__traceback__)
    failure = told if verdict is Verdict.FAULT else ServiceUnavailable()
    if failure is not told:
        failure.__cause__ = told
    return failure


def describe(error: BaseException) -> str:
    """Name what failed, without the values it failed on."""
    driver = error.orig if isinstance(error, StatementError) else error
    statement = error.statement if isinstance(error, StatementError) else None
    parts = [type(driver).__name__]
    code = getattr(driver, "sqlstate", None) or getattr(driver, "sqlite_errorname", None)
    if code is not None:
        parts.append(str(code))
    diagnosis = getattr(driver, "diag", None)
    named = ((name, getattr(diagnosis, name, None)) for name in ("table_name", "column_name", "constraint_name"))
    parts.extend(f"{name}={value}" for name, value in named if value)
    if _is_broken(driver) or hasattr(driver, "sqlite_errorcode"):
        # A failed connection names a host, SQLite names columns; neither quotes a value.
        parts.append(str(driver))
    if statement is not None:
        parts.append(f"in: {statement}")
    return " ".join(parts)
