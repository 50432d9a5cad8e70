"""The help names everything that can be typed, and teaches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from tests.cli.command import call

from identity import __version__
from identity.cli.app import app


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from _commands(command, (*path, name))


COMMANDS = list(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) or "identity" for path, _ in COMMANDS])
def test_every_command_explains_itself(path: tuple[str, ...], command: Any) -> None:
    result = call(*path, "--help")

    assert result.exit_code == 0
    assert command.help.splitlines()[0] in result.output.replace("\n  ", " ")
    assert all(f"\n  {name} " in result.output for name in getattr(command, "commands", {}))
    assert all(option in result.output for parameter in command.params for option in parameter.opts)


def test_the_help_says_how_to_begin_and_where_settings_are() -> None:
    output = call("--help").output

    for word in ("identity serve", "identity demo", "identity check", "IDENTITY_CONFIG", "docs/settings.md"):
        assert word in output


def test_help_is_plain_where_nobody_looks() -> None:
    assert call("--help").output.isprintable() is False  # line ends are not printable, and nothing else is not
    assert call("--help").output.replace("\n", "").isprintable()


def test_version() -> None:
    assert call("--version").output == f"identity {__version__}\n"


def test_a_command_that_is_not_there_is_told() -> None:
    result = call("sevre")

    assert result.exit_code == 2
    assert "sevre" in result.output


def test_settings_lists_every_setting() -> None:
    result = call("settings")

    assert result.exit_code == 0
    assert "IDENTITY_BCRYPT_COST = 11\n  The cost of a password hash" in result.output
    assert "IDENTITY_CONFIG" in result.output
