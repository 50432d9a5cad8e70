"""Text that people chose for themselves, made harmless before it stands in a mail (LO-03, N-23)."""

from __future__ import annotations

import re
import unicodedata

_LIMIT = 80
_ELLIPSIS = "…"
_JOINERS = "\u200c\u200d"  # invisible, but Persian words and family emoji need them

# IDNA reads the ideographic and full-width dots as ordinary ones, and so do mail programs.
_DOT_IN_A_WORD = re.compile(r"([.\u2024\u3002\uff0e\uff61])(?=[^\s\d.])")
_FIRST_DOT_OF_AN_IP_ADDRESS = re.compile(r"(?<=\d)\.(?=\d+\.\d+\.\d)")
_COLON_OF_A_SCHEME = re.compile(r"(?<=[A-Za-z0-9+.-]):(?=[^\s\d])")


def inert(text: str) -> str:
    """One short line without control characters, in which no mail program sees a link.

    A space after the dot or the colon is what breaks `www.evil.example`, `http://evil` and
    `me@evil.example`. It can be seen and cannot be stripped like an invisible character, and it does no
    harm to `J.R.R. Tolkien`. HTML is escaped elsewhere.
    """
    line = " ".join("".join(_harmless(character) for character in text).split())
    line = _DOT_IN_A_WORD.sub(r"\1 ", line)
    line = _FIRST_DOT_OF_AN_IP_ADDRESS.sub(". ", line)
    line = _COLON_OF_A_SCHEME.sub(": ", line)
    return line if len(line) <= _LIMIT else line[: _LIMIT - 1].rstrip() + _ELLIPSIS


def _harmless(character: str) -> str:
    match unicodedata.category(character):
        case "Cc" | "Zl" | "Zp":
            return " "
        case "Cf" if character not in _JOINERS:
            return ""  # soft hyphens, and marks that turn the direction of what follows
        case "Cs":
            return ""  # half a character, which cannot be encoded
        case _:
            return character
