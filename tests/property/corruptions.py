"""What can happen to a token on its way: bits, cuts, additions, and every other spelling of the same bytes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from urllib.parse import quote

from hypothesis import assume
from hypothesis import strategies as st

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# What lenient decoders skip, take for something else, or trim.
INSERTED = ["=", "!", " ", "\n", "\t", "+", "/", ".", ",", "\u200b", "\ufeff", "é", "Ａ"]


def _bit_of_a_character(token: str, at: int, bit: int) -> str:
    at %= len(token)
    return token[:at] + chr(ord(token[at]) ^ 1 << bit % 7) + token[at + 1 :]


def _bit_of_the_bytes(token: str, at: int, bit: int) -> str:
    """As somebody does it who knows how tokens are written; each part of a JWT by itself."""
    parts = token.split(".")
    part = at % len(parts)
    raw = bytearray(_decoded(parts[part]))
    if not raw:
        return ""
    raw[at % len(raw)] ^= 1 << bit % 8
    parts[part] = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return ".".join(parts)


def _other_last_character(token: str, at: int, _: int) -> str:
    """In an unpadded spelling, the last character has bits that no byte needs."""
    present = ALPHABET.find(token[-1])
    return token[:-1] + ALPHABET[(present + 1 + at % 63) % 64]


def _another_character(token: str, at: int, which: int) -> str:
    at %= len(token)
    return token[:at] + ALPHABET[which % 64] + token[at + 1 :]


def _decoded(token: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except binascii.Error:
        return token.encode()


WAYS: list[Callable[[str, int, int], str]] = [
    _bit_of_a_character,
    _bit_of_the_bytes,
    _other_last_character,
    _another_character,
    lambda token, at, _: token[: at % len(token)],
    lambda token, at, _: token[1 + at % len(token) :],
    lambda token, at, which: token + ALPHABET[which % 64] * (1 + at % 4),
    lambda token, at, which: ALPHABET[which % 64] * (1 + at % 4) + token,
    lambda token, at, which: token[: at % len(token)] + INSERTED[which % len(INSERTED)] + token[at % len(token) :],
    lambda token, at, which: token + INSERTED[which % len(INSERTED)],
    lambda token, at, which: INSERTED[which % len(INSERTED)] + token,
    lambda token, at, _: token[: at % len(token)] + token[at % len(token) + 1 :],
    lambda token, at, _: token.swapcase(),
    lambda token, at, _: token.lower(),
    lambda token, at, _: token.upper(),
    lambda token, at, _: token[::-1],
    lambda token, at, _: token.replace("-", "+").replace("_", "/"),
    lambda token, at, _: base64.standard_b64encode(_decoded(token)).decode(),
    lambda token, at, _: base64.urlsafe_b64encode(_decoded(token)).decode(),
    lambda token, at, _: base64.b32encode(_decoded(token)).decode(),
    lambda token, at, _: _decoded(token).hex(),
    lambda token, at, _: base64.urlsafe_b64encode(token.encode()).decode().rstrip("="),
    lambda token, at, _: quote(token, safe="").replace("A", "%41", 1),
    lambda token, at, _: f'"{token}"',
    lambda token, at, _: "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in token),
]


@st.composite
def corrupted(draw: st.DrawFn, token: str) -> str:
    """Something else than the token, made of it; never empty, which is no token at all."""
    made = draw(st.sampled_from(WAYS))(token, draw(st.integers(0, 4096)), draw(st.integers(0, 4096)))
    assume(made not in ("", token))
    return made


def fits_a_header(text: str) -> bool:
    """Whether a client can send it in metadata, where it arrives as it was."""
    return text.isascii() and text.isprintable() and text == text.strip()
