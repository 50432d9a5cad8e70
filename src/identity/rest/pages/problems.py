"""What a page says of a refusal: words for its reason, beside the field at fault, and never the refusal's own text."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

from identity.rest.pages.words import Words
from identity.rest.refusals import Refusal


class Problem(NamedTuple):
    """`faults` are told beside their fields, by name; `message` is about the form as a whole."""

    message: str
    faults: Mapping[str, str]


NONE = Problem("", {})


def explain(words: Words, refusal: Refusal, fields: Collection[str]) -> Problem:
    """A refusal for whoever sent a form with these fields, of which those count that people can see."""
    at_fault = [field for field in refusal.fields if field in fields and f"field.{field}" in words]
    if refusal.reason == "INVALID_REQUEST":
        faults = {field: words(f"invalid.{field}") for field in at_fault if f"invalid.{field}" in words}
    else:
        faults = {field: _because(words, refusal) for field in at_fault}
    return Problem("" if faults else _because(words, refusal), faults)


def _because(words: Words, refusal: Refusal) -> str:
    name = f"reason.{refusal.reason}"
    return words(
        name if name in words else "reason.OTHER",
        minutes=max(1, math.ceil((refusal.retry_after or 0) / 60)),
        min_length=refusal.metadata.get("min_length", ""),
        ref=refusal.metadata.get("ref", ""),
    )
