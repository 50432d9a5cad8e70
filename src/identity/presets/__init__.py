"""Presets: the policy of each product, as TOML files that people can read.

Reads `<name>.toml` beside this file, lays the operator's own keys over it, and gives a
`domain.policy.Policy`. May import the domain and nothing else of this project.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from identity.domain.policy import Policy

_POLICY = TypeAdapter(with_config(ConfigDict(extra="forbid"))(Policy))


class PresetInvalid(ValueError):
    """A preset, or what the operator laid over it, is not a policy."""


def names() -> list[str]:
    """The presets that are there, in alphabetical order."""
    return sorted(file.name.removesuffix(".toml") for file in files(__name__).iterdir() if file.name.endswith(".toml"))


def load_policy(name: str, overrides: Mapping[str, Any] | None = None) -> Policy:
    """The policy of a preset with `overrides` over it. Raises PresetInvalid with the key at fault."""
    if name not in names():
        raise PresetInvalid(f"There is no preset {name!r}. Choose one of: {', '.join(names())}.")
    values = tomllib.loads((files(__name__) / f"{name}.toml").read_text())
    merged = _laid_over(values, overrides or {})
    if isinstance(roles := merged["roles"], dict):
        merged["roles"] = {
            key: {**role, "key": key, "number": number} if isinstance(role, dict) else role
            for number, (key, role) in enumerate(roles.items(), start=1)
        }
    try:
        return _POLICY.validate_python(merged)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise PresetInvalid(f"The preset {name!r} is not valid. {faults}") from None


def _laid_over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        merged[key] = _laid_over(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged
