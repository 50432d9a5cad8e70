"""`identity settings`: what can be set, as the code itself says it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from rich.text import Text

from identity.cli.output import out
from identity.rest_settings import RestSettings
from identity.settings import Settings

PREFIX = "IDENTITY_"
CONFIG = f"{PREFIX}CONFIG"


class Variable(NamedTuple):
    """One setting: its name in the environment, its default in words, and what it means."""

    name: str
    default: str
    meaning: str


def variables() -> Iterator[Variable]:
    """Every setting, in the order of the code."""
    yield Variable(CONFIG, "", "A TOML file with any of these, in lower case and without the prefix.")
    for name, field in Settings.model_fields.items():
        yield Variable(PREFIX + name.upper(), _default(field), field.description or "")


def unknown_variables() -> dict[str, str]:
    """The variables of our prefix that mean nothing, each with the one that was perhaps meant."""
    known = [variable.name for variable in variables()]
    return {
        name: next(iter(get_close_matches(name, known, 1)), "")
        for name in sorted(os.environ)
        if name.startswith(PREFIX) and name not in known
    }


def service_variables() -> list[str]:
    """The variables that are there and mean nothing to a container, only to the service."""
    return [
        variable.name
        for variable in variables()
        if variable.name in os.environ
        and variable.name != CONFIG
        and variable.name.removeprefix(PREFIX).lower() not in RestSettings.model_fields
    ]


def run() -> None:
    """Print them all."""
    for variable in variables():
        out.print(Text(variable.name, style="bold"), Text(f"= {variable.default}" if variable.default else ""))
        out.print(Text(f"  {variable.meaning.replace('`', '')}"))


def _default(field: FieldInfo) -> str:
    """The default as it would be written in the environment; empty where it is decided at the start."""
    value = field.default
    if field.default_factory is not None or value is None:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Path):
        return value.as_posix()
    return ",".join(value) if isinstance(value, tuple) else str(value)
