"""What the pages say: one file of plain text per language in `words/`, and which language somebody reads."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

FALLBACK = "en"


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, str):
            yield f"{above}{name}", value
        else:
            yield from _flat(value, f"{above}{name}.")


TEXTS: Mapping[str, Mapping[str, str]] = {
    file.name.removesuffix(".toml"): dict(_flat(tomllib.loads(file.read_text(encoding="utf-8"))))
    for file in sorted(files("identity.rest.pages").joinpath("words").iterdir(), key=lambda file: file.name)
}
"""The texts of each language by their dotted names, the same names in all of them."""


class Words:
    """The texts of one language. `{product}` stands for the product in all of them."""

    def __init__(self, language: str, product: str) -> None:
        self.language = language
        self._product = product
        self._texts = TEXTS[language]

    def __call__(self, name: str, **values: object) -> str:
        """A text, with these values in it."""
        return self._texts[name].format(product=self._product, **values)

    def __contains__(self, name: str) -> bool:
        return name in self._texts


def choose_language(wanted: str | None, accepted: str) -> str:
    """The language to speak: the one `wanted`, or the best of an Accept-Language header (RFC 9110 §12.5.4)."""
    if wanted is not None and wanted in TEXTS:
        return wanted
    ranges = sorted((_weighed(part) for part in accepted.split(",")), key=lambda found: -found[1])
    return next((language for language, weight in ranges if weight > 0 and language in TEXTS), FALLBACK)


def _weighed(part: str) -> tuple[str, float]:
    tag, _, parameter = part.partition(";")
    language = tag.strip().partition("-")[0].lower()
    _, _, quality = parameter.partition("=")
    try:
        return language, float(quality) if quality else 1.0
    except ValueError:
        return language, 0.0
