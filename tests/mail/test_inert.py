from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.mail.inert import inert

# What mail programs make a link of, widely taken: a scheme, or a name that ends like a domain.
LINK = re.compile(r"[a-z][a-z0-9+.-]*:[^\s\d]|[^\s.][.\u2024\u3002\uff0e\uff61][^\W\d]|(\d+\.){3}\d", re.IGNORECASE)


@pytest.mark.parametrize(
    "name",
    ["Ada Lovelace", "Zoë", "O'Brien-Smith", "Dr. Ada", "李小龍", "محمد", "Ada & Co", "Studio 2.0", "Kwik-Fit N. V."],
)
def test_LO_03_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert inert(name) == name


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("http://evil.example/x?y", "http: //evil. example/x?y"),
        ("HTTPS://EVIL.EXAMPLE", "HTTPS: //EVIL. EXAMPLE"),
        ("http://evil", "http: //evil"),
        ("www.evil.example", "www. evil. example"),
        ("evil.example", "evil. example"),
        ("evil。example", "evil。 example"),
        ("evil.\u00adexample", "evil. example"),
        ("evil.\u200bexample", "evil. example"),
        ("evil.xn--p1ai", "evil. xn--p1ai"),
        ("me@evil.example", "me@evil. example"),
        ("mailto:me@evil", "mailto: me@evil"),
        ("javascript:alert(1)", "javascript: alert(1)"),
        ("http://10.0.0.1/", "http: //10. 0.0.1/"),
        ("J.R.R. Tolkien", "J. R. R. Tolkien"),
    ],
)
def test_N_23_a_url_in_a_name_is_no_link(text: str, harmless: str) -> None:
    assert inert(text) == harmless


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("Ada\r\nBcc: me@evil", "Ada Bcc: me@evil"),
        ("Ada\r\n\r\nHello", "Ada Hello"),
        ("Ada\x1b[31mred\x07", "Ada [31mred"),
        ("Ada\u2028line\x00", "Ada line"),
        ("\u202eadA\u2066", "adA"),
        ("Ada\ud800", "Ada"),
        ("  Ada\t \u00a0 L  ", "Ada L"),
    ],
)
def test_LO_03_a_name_is_one_line_without_control_characters(text: str, harmless: str) -> None:
    assert inert(text) == harmless


def test_LO_03_a_name_has_no_room_for_an_advertisement() -> None:
    assert inert("word " * 100).endswith("word…")
    assert len(inert("x" * 1000)) == 80


@given(st.text() | st.from_regex(LINK))
def test_LO_03_whatever_is_written_no_link_comes_out(text: str) -> None:
    harmless = inert(text)
    assert not LINK.search(harmless)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in harmless)
    assert len(harmless) <= 80
    harmless.encode()
