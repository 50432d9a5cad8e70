"""JSON as RFC 8259 has it, and nothing that parsers add: no NaN, no name twice, no endless depth (N-50, N-51)."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from identity.rest.refusals import malformed

DEEPEST = 32
"""Levels of nesting; the deepest request of the contract has less than half of them."""

_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""Also one without an end, and never looked at twice: it takes no longer for being broken."""


def parse(body: bytes) -> Any:
    """The value of a JSON text. Raises a Refusal that never repeats any of it."""
    _bound_depth(body)
    try:
        return _decoder.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise malformed("", "The body is not JSON in UTF-8.", "MALFORMED_JSON") from None


def parse_object(body: bytes) -> dict[str, Any]:
    """The members of a JSON object; an empty body counts as an empty object."""
    value = parse(body) if body.strip() else {}
    if not isinstance(value, dict):
        raise malformed("", "The body is not a JSON object.", "MALFORMED_JSON")
    return value


def spell(name: str) -> str:
    """The name of a field as a client sent it, if it can be told back without harm."""
    return name if name.isascii() and name.replace("_", "").isalnum() and len(name) <= 64 else "?"


def _bound_depth(body: bytes) -> None:
    # Before the parser, which recurses. What stands in strings is no bracket, neither opening nor closing.
    depth = 0
    for byte in _STRING.sub(b"", body):
        if byte in b"[{":
            depth += 1
            if depth > DEEPEST:
                raise malformed("", "The body is nested too deeply.", "MALFORMED_JSON")
        elif byte in b"]}":
            depth -= 1


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise malformed(spell(name), "The field is there twice.", "DUPLICATE_FIELD")
            seen.add(name)
    return members


def _constant(name: str) -> NoReturn:
    raise malformed("", "The body is not JSON in UTF-8.", "MALFORMED_JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_constant)
