"""`console://`: short messages on the terminal, for developers."""

from __future__ import annotations

from uuid import UUID

from rich.console import Console, Group
from rich.rule import Rule
from rich.text import Text

from identity.mail.transports import ServerUnreachable


class ConsoleSms:
    """Prints a message between two rules, like the mails beside it."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)

    def send(self, id: UUID, to: str, text: str) -> None:
        """Prints the message."""
        title = Text(f"SMS to {to}", style="bold cyan")
        try:
            self._console.print(
                Group(Rule(title, style="cyan"), Text(text), Rule(style="cyan")), soft_wrap=True, highlight=False
            )
        except OSError as failure:
            raise ServerUnreachable(f"The terminal took nothing ({type(failure).__name__}).") from None

    def check(self) -> None:
        """A terminal needs no check."""
