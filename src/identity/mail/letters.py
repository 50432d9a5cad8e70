"""What the mails say: one file per kind and language in `templates/`, prose only.

A kind's file sets `subject`, `opening` and `closing` (paragraphs of plain text), and for a mail with a
link `page` (the path the link leads to) and `action` (what the link does). The layout, the escaping and the
words common to all mails of a language (`words.txt`) are elsewhere, so a new kind is one file per language.
A kind that goes to phones too has its one line in `sms/` beside them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from identity.domain.mails import MailKind

_FALLBACK = "en"

# Plain text on purpose: whoever puts it into HTML escapes it there.
_prose = Environment(
    loader=PackageLoader("identity.mail"),
    autoescape=False,  # noqa: S701
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

LANGUAGES = frozenset(name.partition("/")[0] for name in _prose.list_templates() if name.endswith("/words.txt"))


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail's words, as plain text; a paragraph is one line."""

    language: str
    subject: str
    greeting: str
    opening: tuple[str, ...]
    closing: tuple[str, ...]
    farewell: str
    automatic: str
    page: str
    action: str
    lead_in: str
    or_code: str


def language_of(locale: str) -> str:
    """The language to write in: of `fr-BE` and `fr_BE`, French; English where there is no translation."""
    language = re.split(r"[-_.@]", locale, maxsplit=1)[0].lower()
    return language if language in LANGUAGES else _FALLBACK


def write(kind: MailKind, language: str, values: Mapping[str, object]) -> Letter:
    """The letter of a kind. Raises `jinja2.UndefinedError` if it speaks of a value that is missing."""
    words = vars(_prose.get_template(f"{language}/words.txt").make_module())
    letter = vars(_prose.get_template(f"{language}/{kind}.txt").make_module(dict(values)))
    action = letter.get("action", "")
    return Letter(
        language=language,
        subject=letter["subject"],
        greeting=words["greeting"](values["name"]),
        opening=_paragraphs(letter["opening"]),
        closing=_paragraphs(letter["closing"]),
        farewell=words["farewell"],
        automatic=words["automatic"],
        page=letter.get("page", ""),
        action=action,
        lead_in=words["lead_in"](action),
        or_code=words["or_code"],
    )


def write_sms(kind: MailKind, language: str, values: Mapping[str, object]) -> str:
    """The one line of a kind that is sent to phones. Raises `jinja2.TemplateNotFound` for any other kind."""
    return _prose.get_template(f"{language}/sms/{kind}.txt").render(dict(values)).strip()


def _paragraphs(text: str) -> tuple[str, ...]:
    blocks = re.split(r"\n[ \t]*\n", text.strip())
    # Not str.split(): it would take the no-break spaces of French for ordinary ones.
    return tuple(re.sub(r"[ \t\n]+", " ", block) for block in blocks if block)
