from __future__ import annotations

import io

from rich.console import Console
from tests.mail.test_smtp import mail

from identity.mail.transports import open_transport
from identity.mail.transports.console import ConsoleTransport

LINK = "https://id.example/verify-email#token=" + "A" * 200


def test_the_terminal_shows_who_what_and_an_unbroken_link() -> None:
    terminal = io.StringIO()
    transport = ConsoleTransport(Console(file=terminal, width=60))
    transport.send(
        mail("Confirm your address", f"Hello [bold]Ada[/bold]\n\n{LINK}\n"), "no-reply@id.example", "ada@example.org"
    )
    lines = terminal.getvalue().splitlines()
    assert "Mail to ada@example.org" in lines[0]
    assert "Confirm your address" in lines
    assert "Hello [bold]Ada[/bold]" in lines
    assert LINK in lines
    assert lines[0].count("─") > 10
    assert set(lines[-1]) == {"─"}


def test_it_prints_on_standard_error(capsys: object) -> None:
    transport = open_transport("console://")
    assert isinstance(transport, ConsoleTransport)
    assert transport._console.stderr
    transport.check()
    transport.close()
