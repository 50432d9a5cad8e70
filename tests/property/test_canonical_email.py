"""P-08: one spelling for each address, and no two people under one (LG-05)."""

from __future__ import annotations

import unicodedata

from hypothesis import assume, example, given
from hypothesis import strategies as st

from identity.domain.accounts import canonical_email
from identity.domain.errors import InvalidRequest

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
DOMAINS = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
ASCII_NAMES = st.from_regex(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,20}", fullmatch=True)
ANYTHING = st.text(max_size=80) | st.builds("{}@{}".format, NAMES, DOMAINS | NAMES)


def canonical(raw: str) -> str | None:
    try:
        return canonical_email(raw)
    except InvalidRequest:
        return None


@given(ANYTHING)
@example("\N{KELVIN SIGN}@example.org")
@example("a@stra\N{LATIN SMALL LETTER SHARP S}e.example")
def test_P_08_a_canonical_address_is_its_own_canonical_form(raw: str) -> None:
    """Whatever comes out goes in and comes out again."""
    once = canonical(raw)
    assert once is None or canonical_email(once) == once


@given(ANYTHING)
def test_P_08_a_canonical_address_is_one_plain_address(raw: str) -> None:
    """It has one @, an ASCII domain in lower case, at most 254 bytes and nothing that separates or ends a line."""
    once = canonical(raw)
    if once is None:
        return
    local, _, domain = once.rpartition("@")
    assert domain.isascii() and domain == domain.lower() and "@" not in local
    assert len(once.encode()) <= 254
    assert not set(once) & set(' \r\n\t\0,;<>()[]\\"') and once.isprintable()


@given(ASCII_NAMES, DOMAINS, st.data())
def test_P_08_the_case_of_ascii_does_not_matter(local: str, domain: str, data: st.DataObject) -> None:
    """Every spelling in other cases is the same person."""
    address = f"{local}@{domain}"
    upper = data.draw(st.lists(st.booleans(), min_size=len(address), max_size=len(address)))
    other = "".join(c.upper() if up else c.lower() for c, up in zip(address, upper, strict=True))
    assert canonical(address) == canonical(other)


@given(ASCII_NAMES, ASCII_NAMES, DOMAINS, DOMAINS)
def test_P_08_no_two_ascii_addresses_merge(one: str, two: str, here: str, there: str) -> None:
    """Addresses that differ in more than case are different people."""
    first, second = f"{one}@{here}", f"{two}@{there}"
    assume(first.lower() != second.lower())
    assert canonical(first) != canonical(second) or canonical(first) is None


@given(NAMES, DOMAINS)
@example("\N{LATIN SMALL LETTER DOTLESS I}", "example.org")
@example("\N{LATIN SMALL LETTER LONG S}", "example.org")
@example("\N{FULLWIDTH LATIN SMALL LETTER A}", "example.org")
@example("\N{KELVIN SIGN}", "example.org")
def test_P_08_N_43_no_other_letter_becomes_an_ascii_one(local: str, domain: str) -> None:
    """An address with other letters is never the address of somebody whose name is ASCII."""
    assume(not local.isascii())
    once = canonical(f"{local}@{domain}")
    assert once is None or not once.rpartition("@")[0].isascii()


@given(NAMES, DOMAINS)
def test_P_08_the_normal_forms_of_unicode_are_one_person(local: str, domain: str) -> None:
    """Composed and decomposed letters are the same address, where either is one."""
    composed = canonical(f"{unicodedata.normalize('NFC', local)}@{domain}")
    decomposed = canonical(f"{unicodedata.normalize('NFD', local)}@{domain}")
    assert composed == decomposed or decomposed is None
