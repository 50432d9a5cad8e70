from __future__ import annotations

import re

import pytest
from tests.mail.reading import (
    CHOSEN_BY_PEOPLE,
    ID,
    KINDS,
    SECRET,
    TOKEN,
    WITH_LINK,
    Page,
    every_kind,
    everywhere,
    part,
    rendered,
)

from identity.domain.mails import MailKind
from identity.mail.rendering import AddressInvalid

# The envelope.


def test_F_12_the_headers_of_a_row_are_fixed() -> None:
    message = rendered(locale="fr")
    assert str(message["From"]) == "Acme <no-reply@id.example>"
    assert str(message["To"]) == "ada@example.org"
    assert message["Message-ID"] == f"<{ID}@id.example>"
    assert message["Date"] == "Sun, 01 Mar 2026 14:03:00 +0000"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    assert [inner.get_content_type() for inner in message.iter_parts()] == ["text/plain", "text/html"]


@every_kind
@everywhere
def test_F_12_the_same_row_gives_the_same_bytes(kind: MailKind, locale: str) -> None:
    assert rendered(kind, locale).as_bytes() == rendered(kind, locale).as_bytes()


@pytest.mark.parametrize(
    ("public_url", "host"),
    [
        ("https://id.example:8443/base", "id.example"),
        ("http://127.0.0.1:8080", "127.0.0.1"),
        ("http://[::1]:8080", "[IPv6:::1]"),
        (f"https://{'long.' * 30}example", f"{'long.' * 30}example"),
    ],
)
def test_a_message_id_survives_any_host(public_url: str, host: str) -> None:
    assert rendered(public_url=public_url)["Message-ID"] == f"<{ID}@{host}>"


@pytest.mark.parametrize(
    "recipient",
    [
        "a@evil.example,b@victim.example",
        "a@evil.example;b@victim.example",
        "a@evil.example b@victim.example",
        "a@evil.example\r\nBcc: b@victim.example",
        "a@evil.example\x00",
        "a,b@victim.example",
        "a;b@victim.example",
        "<ada@example.org>",
        "group:ada@example.org",
        "Ada <ada@example.org>",
        "ada@evil.example@example.org",
        '"a b"@example.org',
        "ada",
        "@example.org",
        "ada@",
        "",
    ],
)
def test_N_37_exactly_one_recipient(recipient: str) -> None:
    with pytest.raises(AddressInvalid) as refusal:
        rendered(recipient=recipient)
    assert "example" not in str(refusal.value)


# Secrets and links.


@pytest.mark.parametrize("kind", SECRET)
@everywhere
def test_the_secret_stands_alone_on_a_line(kind: MailKind, locale: str) -> None:
    message = rendered(kind, locale)
    _, secret = SECRET[kind]
    lines = part(message, "plain").splitlines()
    link = [f"https://id.example/{WITH_LINK[kind]}#token={TOKEN}"] if kind in WITH_LINK else []
    assert [line for line in lines if secret in line] == [*link, secret]
    assert Page(part(message, "html")).words.split().count(secret) == 1
    assert secret not in message["Subject"]


@pytest.mark.parametrize("kind", [MailKind.SIGN_IN_CODE, MailKind.TEMPORARY_PASSWORD])
def test_what_a_person_types_is_in_no_link(kind: MailKind) -> None:
    message = rendered(kind)
    assert "://" not in part(message, "plain")
    assert "href" not in part(message, "html")


def test_the_secret_is_unbroken_in_the_raw_message_where_ascii_allows() -> None:
    raw = rendered(name="Ada").as_bytes()
    assert f"\nhttps://id.example/verify-email#token={TOKEN}\n".encode() in raw


@pytest.mark.parametrize("kind", WITH_LINK)
def test_RC_04_links_come_from_the_public_url_only(kind: MailKind) -> None:
    evil = dict.fromkeys(CHOSEN_BY_PEOPLE, "https://evil.example")
    message = rendered(kind, public_url="https://id.example/base/", **evil)
    page = Page(part(message, "html"))
    links = [value for name, value in page.attributes if name in ("href", "src", "action", "background")]
    expected = f"https://id.example/base/{WITH_LINK[kind]}#token={TOKEN}"
    assert links == [expected]
    assert re.findall(r"\w+://\S+", part(message, "plain")) == [expected]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in WITH_LINK])
def test_a_notice_carries_no_link(kind: MailKind) -> None:
    message = rendered(kind)
    assert "://" not in part(message, "plain")
    assert "href" not in part(message, "html")


def test_a_token_cannot_leave_its_place() -> None:
    message = rendered(token='x"><script>&#')
    assert "#token=x%22%3E%3Cscript%3E%26%23" in part(message, "plain")
    assert "script" not in Page(part(message, "html")).tags
    for token in ("a b", "a\nb", "é"):
        for kind, (value, _) in SECRET.items():
            with pytest.raises(ValueError, match="printable ASCII"):
                rendered(kind, **{value: token})


# Hostile values.

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=//evil.example/x.png>",
    '"><a href="https://evil.example">click</a>',
    "<b>bold</b>&amp;",
    "{{ 7 * 7 }}{% raw %}",
    "Ada\r\nBcc: victim@example.org\r\n\r\n<h1>Hello</h1>",
]


@pytest.mark.parametrize("hostile", HOSTILE)
@every_kind
@everywhere
def test_LO_03_hostile_names_are_inert(hostile: str, kind: MailKind, locale: str) -> None:
    harmless = rendered(kind, locale)
    message = rendered(kind, locale, **dict.fromkeys(CHOSEN_BY_PEOPLE, hostile))
    assert message.keys() == harmless.keys()
    assert Page(part(message, "html")).tags == Page(part(harmless, "html")).tags
    assert len(part(message, "plain").split("\n\n")) == len(part(harmless, "plain").split("\n\n"))
    assert "evil.example" not in part(message, "plain") + part(message, "html")
    assert "49" not in part(message, "plain")


@every_kind
@everywhere
def test_N_23_the_subject_repeats_no_name(kind: MailKind, locale: str) -> None:
    assert "Mallory" not in rendered(kind, locale, **dict.fromkeys(CHOSEN_BY_PEOPLE, "Mallory"))["Subject"]


@everywhere
def test_LO_03_where_a_sign_in_came_from_is_an_address_or_nothing(locale: str) -> None:
    for source, shown in (
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("fe80::1%x.evil", "fe80::1"),
    ):
        assert shown in part(rendered(MailKind.NEW_DEVICE, locale, source=source), "plain")
        assert "evil" not in part(rendered(MailKind.NEW_DEVICE, locale, source=source), "plain")
    with pytest.raises(ValueError, match="does not appear to be"):
        rendered(MailKind.NEW_DEVICE, locale, source="https://evil.example")


def test_html_loads_nothing_and_runs_nothing() -> None:
    page = Page(part(rendered(), "html"))
    assert not {"img", "script", "link", "iframe", "form", "object"} & set(page.tags)
    assert "url(" not in part(rendered(), "html")
