"""Statements of the hot paths: compiled once, then handed straight to the driver.

`Connection.execute` spends 60 to 90 us per statement around the 10 us that SQLite takes for one row. What is
left out here is its bookkeeping; the text, and how values go in and come out, are still SQLAlchemy's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Select
from sqlalchemy.exc import StatementError
from sqlalchemy.sql.dml import ReturningUpdate

_Convert = Callable[[Any], Any]


class Prepared:
    """A statement that gives rows; its parameters are plain `bindparam`s and literals, no lists."""

    def __init__(self, statement: Select[Any] | ReturningUpdate[Any]) -> None:
        self._statement = statement
        self._plans: dict[str, _Plan] = {}

    def first(self, connection: Connection, values: Mapping[str, object]) -> Sequence[Any] | None:
        """Run it, and give the first row if there is one."""
        plan = self._plans.get(connection.dialect.name) or self._plan(connection.dialect)
        driver: Any = connection.connection.driver_connection
        try:
            rows = driver.execute(plan.text, plan.bind(values)).fetchall()
        except Exception as error:
            # As SQLAlchemy does it, so that the store's rules for errors apply: the text, never a value (N-24).
            raise StatementError(type(error).__name__, plan.text, None, error, hide_parameters=True) from None
        return plan.convert(rows[0]) if rows else None

    def _plan(self, dialect: Dialect) -> _Plan:
        compiled = self._statement.compile(dialect=dialect)
        binds = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()}
        literals = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        types = [column.type.dialect_impl(dialect) for column in self._statement.exported_columns]
        plan = self._plans[dialect.name] = _Plan(
            text=str(compiled),
            order=compiled.positiontup,
            given=[(name, convert) for name, convert in binds.items() if name not in literals],
            literals={name: _apply(binds[name], value) for name, value in literals.items()},
            results=[type_.result_processor(dialect, None) for type_ in types],
        )
        return plan


class _Plan(NamedTuple):
    """A statement as one dialect wants it. `order` is there where parameters go by position."""

    text: str
    order: Sequence[str] | None
    given: Sequence[tuple[str, _Convert | None]]
    literals: Mapping[str, Any]
    results: Sequence[_Convert | None]

    def bind(self, values: Mapping[str, object]) -> Any:
        bound = {name: _apply(convert, values[name]) for name, convert in self.given}
        bound.update(self.literals)
        return bound if self.order is None else [bound[name] for name in self.order]

    def convert(self, row: Sequence[Any]) -> Sequence[Any]:
        return [value if convert is None else convert(value) for value, convert in zip(row, self.results, strict=True)]


def _apply(convert: _Convert | None, value: Any) -> Any:
    return value if convert is None else convert(value)
