"""Medians over the rounds, as a table for people and as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.box import ROUNDED
from rich.console import Console
from rich.table import Table

from benchmarks.load import Sample


@dataclass(frozen=True, slots=True)
class Row:
    """One arm at one concurrency, with a sample per round."""

    name: str
    engine: str
    workers: int
    samples: list[Sample] = field(default_factory=list)

    def median(self, of: Callable[[Sample], float]) -> float:
        return median(map(of, self.samples))

    def compared(self, base: Row, of: Callable[[Sample], float]) -> float:
        """A figure as a multiple of the base's, each round against the base of the same round."""
        return median(of(own) / of(other) for own, other in zip(self.samples, base.samples, strict=True))

    def ratio(self, base: Row) -> float:
        """CPU per call as a multiple of the base's."""
        return self.compared(base, lambda sample: sample.cpu_per_call)


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that was measured; `echo` has the Echo of each concurrency, `doors` what the HTTP doors did."""

    echo: dict[int, Row]
    calls: list[Row]
    doors: list[Row]
    logins: list[Row]
    hashing: Row
    bcrypt_cost: int

    def direct(self, door: Row) -> Row:
        """The same call over gRPC, to the service that is behind the doors."""
        return next(row for row in self.calls if (row.name, row.workers) == (door.name, door.workers))

    def share_of_rest(self, login: Row) -> float:
        """The part of the time of a sign-in that is not its hash, 0 to 1, with the lane always busy."""
        pairs = zip(login.samples, self.hashing.samples, strict=True)
        return median(1 - own.rate / bare.rate for own, bare in pairs)


def show(results: Results, console: Console) -> None:
    """Print tables: with rules and colours on a terminal, else as plain aligned text."""
    calls = _table("Server CPU per call", ["call", "database", "clients"], console)
    for title in ("CPU µs", "user", "system", "x Echo", "calls/s", "p50 ms", "p99 ms"):
        calls.add_column(title, justify="right")
    for row in [*results.echo.values(), *results.calls]:
        calls.add_row(
            row.name,
            row.engine,
            str(row.workers),
            f"{row.median(lambda s: s.cpu_per_call) * 1e6:.0f}",
            f"{row.median(lambda s: s.user_cpu / s.calls) * 1e6:.0f}",
            f"{row.median(lambda s: s.system_cpu / s.calls) * 1e6:.0f}",
            f"{row.ratio(results.echo[row.workers]):.2f}",
            f"{row.median(lambda s: s.rate):.0f}",
            f"{row.median(lambda s: s.p50) * 1e3:.2f}",
            f"{row.median(lambda s: s.p99) * 1e3:.2f}",
        )
    console.print(calls)
    doors = _table("Through the doors, beside the same call over gRPC", ["call", "door", "clients"], console)
    for title in ("CPU µs", "p50 ms", "x direct", "calls/s", "of direct"):
        doors.add_column(title, justify="right")
    for row in results.doors:
        direct = results.direct(row)
        doors.add_row(
            row.name,
            row.engine,
            str(row.workers),
            f"{row.median(lambda s: s.cpu_per_call) * 1e6:.0f}",
            f"{row.median(lambda s: s.p50) * 1e3:.2f}",
            f"{row.compared(direct, lambda s: s.p50):.2f}",
            f"{row.median(lambda s: s.rate):.0f}",
            f"{row.compared(direct, lambda s: s.rate):.0%}",
        )
    console.print()
    console.print(doors)
    logins = _table(f"Sign-ins with one hashing thread, bcrypt cost {results.bcrypt_cost}", ["what"], console)
    for title in ("per second", "CPU ms", "share of the rest"):
        logins.add_column(title, justify="right")
    for row in [results.hashing, *results.logins]:
        share = "" if row is results.hashing else f"{results.share_of_rest(row):.1%}"
        cpu = row.median(lambda s: s.cpu_per_call) * 1e3
        logins.add_row(f"{row.name} {row.engine}".strip(), f"{row.median(lambda s: s.rate):.2f}", f"{cpu:.1f}", share)
    console.print()
    console.print(logins)


def dump(results: Results) -> str:
    """Every sample, and the medians that the tables show."""
    rows = [*results.echo.values(), *results.calls, *results.doors, *results.logins, results.hashing]
    return json.dumps({"bcrypt_cost": results.bcrypt_cost, "arms": [_plain(row, results) for row in rows]}, indent=1)


def _plain(row: Row, results: Results) -> dict[str, Any]:
    plain: dict[str, Any] = {
        **asdict(row),
        "cpu_us": row.median(lambda s: s.cpu_per_call) * 1e6,
        "rate": row.median(lambda s: s.rate),
        "p50_ms": row.median(lambda s: s.p50) * 1e3,
        "p99_ms": row.median(lambda s: s.p99) * 1e3,
    }
    if row in results.calls:
        plain["times_echo"] = row.ratio(results.echo[row.workers])
    if row in results.doors:
        plain["times_direct"] = row.compared(results.direct(row), lambda s: s.p50)
        plain["rate_of_direct"] = row.compared(results.direct(row), lambda s: s.rate)
    if row in results.logins:
        plain["share_of_rest"] = results.share_of_rest(row)
    return plain


def _table(title: str, columns: Sequence[str], console: Console) -> Table:
    table = Table(title=title, title_justify="left", box=ROUNDED if console.is_terminal else None)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table
