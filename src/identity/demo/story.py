"""How the demo is told: one line per step, and below it what was found to be true."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

import grpc
from rich.console import Console
from rich.text import Text

from identity import __version__


class NotTrue(Exception):
    """Something that a step promised does not hold."""


class StoryEnded(Exception):
    """A step failed, and what comes after it makes no sense."""


class Story:
    """Counts the steps, prints each when it is over, and remembers the one that failed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._claims: list[str] = []
        self._steps = 0
        self._failed = ""
        fancy = console.encoding.lower().startswith("utf")
        self._good, self._bad, self._dot = ("✓", "✗", "·") if fancy else ("ok", "NO", "-")

    def open(self, address: str) -> None:
        self._console.print()
        self._console.print(Text(f"Identity {__version__}: the whole road, on a service made for this", style="bold"))
        self._console.print(f"It listens on {address}, with its database and its mails in a temporary directory.\n")

    def chapter(self, title: str) -> None:
        self._console.print(Text(title, style="bold cyan"))

    @contextmanager
    def step(self, call: str, what: str) -> Iterator[None]:
        """One call, usually. Whatever goes wrong inside ends the story."""
        self._steps += 1
        self._claims = []
        try:
            yield
        except Exception as error:
            self._failed = f"Step {self._steps}, {call}: {_told(error)}"
            self._line(self._bad, "bold red", call, what)
            raise StoryEnded from error
        self._line(self._good, "green", call, what)

    def holds(self, claim: str, true: bool) -> None:
        """Say what must be so. Raises NotTrue if it is not."""
        if not true:
            raise NotTrue(f"it does not hold that {claim}")
        self._claims.append(claim)

    async def tell(self, walk: Awaitable[None]) -> bool:
        """Walk to the end, or to the first step that fails."""
        try:
            await walk
        except StoryEnded:
            return False
        return True

    def close(self) -> None:
        self._console.print()
        if self._failed:
            self._console.print(Text(self._failed, style="bold red"))
            return
        self._console.print(Text(f"All {self._steps} steps held.", style="bold green"))
        self._console.print("The service is stopped, and its directory is gone.\n")

    def _line(self, mark: str, style: str, call: str, what: str) -> None:
        number = (f" {self._steps:>2} ", "dim")
        self._console.print(Text.assemble(number, (f"{mark} ", style), (f"{call:<23}", "bold"), what))
        for claim in self._claims:
            self._console.print(Text(f"      {' ' * 23}{self._dot} {claim}", style="dim"))


def _told(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}, {error.details()}"
    return str(error) if isinstance(error, NotTrue | TimeoutError) else f"{type(error).__name__}, {error}"
