"""Writing for people: with colours at a terminal, plain everywhere else, and never a traceback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.text import Text

OUTSIDE = 1
"""Exit code: something that this process needs is not as it should be."""

MISUSE = 2
"""Exit code: the settings or the command line are wrong."""

# Long lines are left to the terminal, so that what is shown can be copied whole; nothing in a text is markup.
out = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
err = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


def fail(message: str, code: int = MISUSE) -> NoReturn:
    """Say what is wrong and end."""
    err.print(Text.assemble(("identity: ", "bold red"), message))
    raise typer.Exit(code)


def heading(text: str) -> None:
    out.print(Text(text, style="bold"))


def fact(label: str, value: str) -> None:
    """One line with a label in front; further lines of the value stand below it."""
    first, *rest = value.splitlines() or [""]
    out.print(Text.assemble((f"  {label:<10}", "cyan"), first))
    for line in rest:
        out.print(Text(" " * 12 + line))


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns, one line per row, so that other programs can read them too."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()

    out.print(Text(line(titles), style="bold"))
    for row in rows:
        out.print(Text(line(row)))


def without_secrets(url: str) -> str:
    """A URL as it may be shown: without user, password and options."""
    try:
        parts = urlsplit(url)
        place = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{place}{parts.path}"
    except ValueError:
        return f"{url.partition(':')[0]}:…"


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn whatever is wrong with settings and surroundings into one message and an exit code."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        fail(*_explain(error))


@contextmanager
def settings_at_fault() -> Iterator[None]:
    """Where parts are only built from settings, whatever cannot be built is a setting's fault."""
    from identity.mail.transports import MailUrlInvalid
    from identity.presets import PresetInvalid
    from identity.settings import SettingsInvalid

    try:
        yield
    except (SettingsInvalid, PresetInvalid, MailUrlInvalid):
        raise
    except ValueError as error:
        text = str(error)
        raise SettingsInvalid(f"{text[:1].upper()}{text[1:].rstrip('.')}.") from None


def _explain(error: Exception) -> tuple[str, int]:
    """What an error means for the person at the terminal, and the exit code."""
    # Imported when something is wrong, and not before anything is right.
    from identity.crypto.vault import VaultError
    from identity.domain.errors import Overloaded, ServiceUnavailable
    from identity.mail.transports import MailUrlInvalid
    from identity.presets import PresetInvalid
    from identity.rpc.log import describe
    from identity.settings import SettingsInvalid

    match error:
        case SettingsInvalid() | PresetInvalid():
            return str(error), MISUSE
        case MailUrlInvalid():
            return f"IDENTITY_MAIL_URL: {error}", MISUSE
        case VaultError():
            return (
                "The database was used with another secret, so its signing keys cannot be opened. Set IDENTITY_SECRET, "
                "or the file `secret` in the data directory, to what it was."
            ), MISUSE
        case ServiceUnavailable() | Overloaded():
            return "The database is out of reach. `identity check` looks into it.", OUTSIDE
        case OSError():
            return f"{error.strerror}: {error.filename}", OUTSIDE
        case _:
            # The text of an error that nobody foresaw may hold anything, so where it went through has to do.
            places = [f"{link['type']}: {' < '.join(reversed(link['frames']))}" for link in describe(error)]
            return "\n  ".join(["This is a fault of ours. Please report it, with these lines:", *places]), OUTSIDE
