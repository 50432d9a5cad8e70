"""`console://`: mails on the terminal, which is how a developer sees the links."""

from __future__ import annotations

from email.message import EmailMessage

from rich.console import Console, Group
from rich.rule import Rule
from rich.text import Text

from identity.mail.transports.base import ServerUnreachable


class ConsoleTransport:
    """Prints the text part between two rules.

    There are no side borders, and long lines are left to the terminal to wrap, so that a link can be
    clicked or copied whole.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Prints the mail."""
        text = message.get_body(("plain",))
        subject = Text(str(message["Subject"]), style="bold")
        body = Text(text.get_content().rstrip() if text else "(no text part)")
        title = Text(f"Mail to {recipient}", style="bold cyan")
        try:
            self._console.print(
                Group(Rule(title, style="cyan"), subject, Text(), body, Rule(style="cyan")),
                soft_wrap=True,
                highlight=False,
            )
        except OSError as failure:
            raise ServerUnreachable(f"The terminal took nothing ({type(failure).__name__}).") from None

    def check(self) -> None:
        """A terminal needs no check."""

    def close(self) -> None:
        """There is nothing to close."""
