from __future__ import annotations

import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from html.parser import HTMLParser
from uuid import UUID

import jinja2
import pytest

from identity.domain.mails import MailKind
from identity.mail.letterhead import Letterhead
from identity.mail.letters import LANGUAGES, write
from identity.mail.rendering import AddressInvalid, render

ID = UUID("0190a1b2-0000-7000-8000-00000000000a")
DATE = datetime(2026, 3, 1, 14, 3, tzinfo=UTC)
TOKEN = "q3Jk-_" * 7
VALUES = {
    "token": TOKEN,
    "name": "Zoë",
    "when": "2026-03-01T14:03:00+00:00",
    "device": "Firefox on Linux",
    "expires_minutes": "60",
}
KINDS = [kind for kind in MailKind if not kind.is_request]
WITH_LINK = {MailKind.VERIFY_EMAIL: "verify-email", MailKind.PASSWORD_RESET: "reset-password"}


def rendered(kind: MailKind = MailKind.VERIFY_EMAIL, locale: str = "en", **changes: str) -> EmailMessage:
    """The message as a recipient's program sees it: through its bytes."""
    public_url = changes.pop("public_url", "https://id.example")
    recipient = changes.pop("recipient", "ada@example.org")
    values = {**VALUES, **changes}
    if kind not in WITH_LINK:
        del values["token"]
    message = render(
        kind,
        locale,
        values,
        recipient=recipient,
        sender="no-reply@id.example",
        public_url=public_url,
        product_name="Acme",
        message_id=Letterhead("no-reply@id.example", public_url, "Acme").message_id(ID),
        date=DATE,
    )
    received = BytesParser(policy=default).parsebytes(message.as_bytes())
    assert isinstance(received, EmailMessage)
    return received


def part(message: EmailMessage, subtype: str) -> str:
    body = message.get_body((subtype,))
    assert body is not None
    content: str = body.get_content()
    return content.replace("\r\n", "\n")


class Page(HTMLParser):
    """The tags, addresses and words of an HTML part."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.words += " "
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words += data


everywhere = pytest.mark.parametrize("locale", sorted(LANGUAGES))
every_kind = pytest.mark.parametrize("kind", KINDS)


def test_three_languages() -> None:
    assert {"en", "fr", "nl"} == LANGUAGES


@every_kind
@everywhere
def test_every_kind_is_written_in_every_language(kind: MailKind, locale: str) -> None:
    message = rendered(kind, locale)
    text, page = part(message, "plain"), Page(part(message, "html"))
    assert message["Content-Language"] == locale
    assert ("lang", locale) in page.attributes
    assert "Zoë," in text
    assert "Acme" in text
    # Both parts say the same: the button is the lead-in and the link.
    said = re.sub(r"\s+", " ", page.words)
    for paragraph in text.replace("-- \n", "").split("\n\n"):
        if "://" not in paragraph:
            assert re.sub(r"\s+", " ", paragraph).strip(" :") in said


@everywhere
def test_the_languages_differ(locale: str) -> None:
    others = LANGUAGES - {locale}
    for kind in KINDS:
        assert all(rendered(kind, locale)["Subject"] != rendered(kind, other)["Subject"] for other in others)


@pytest.mark.parametrize(
    ("locale", "language"),
    [("fr-BE", "fr"), ("nl_BE", "nl"), ("FR", "fr"), ("de", "en"), ("", "en"), ("../fr", "en"), ("fr.UTF-8", "fr")],
)
def test_an_unknown_locale_falls_back_to_english(locale: str, language: str) -> None:
    assert rendered(locale=locale)["Content-Language"] == language


@every_kind
def test_a_kind_leads_to_the_same_page_in_every_language(kind: MailKind) -> None:
    values = {**VALUES, "product_name": "Acme", "expires_minutes": 60, "when": DATE}
    assert {write(kind, language, values).page for language in LANGUAGES} == {WITH_LINK.get(kind, "")}


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


@pytest.mark.parametrize("kind", WITH_LINK)
@everywhere
def test_the_secret_stands_alone_on_a_line(kind: MailKind, locale: str) -> None:
    lines = part(rendered(kind, locale), "plain").splitlines()
    assert f"https://id.example/{WITH_LINK[kind]}#token={TOKEN}" in lines
    assert TOKEN in lines
    assert sum(TOKEN in line for line in lines) == 2


def test_the_secret_is_unbroken_in_the_raw_message_where_ascii_allows() -> None:
    raw = rendered(name="Ada").as_bytes()
    assert f"\nhttps://id.example/verify-email#token={TOKEN}\n".encode() in raw


@pytest.mark.parametrize("kind", WITH_LINK)
def test_RC_04_links_come_from_the_public_url_only(kind: MailKind) -> None:
    message = rendered(kind, public_url="https://id.example/base/", name="https://evil.example", device="evil.example")
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
        with pytest.raises(ValueError, match="printable ASCII"):
            rendered(token=token)


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
    message = rendered(kind, locale, name=hostile, device=hostile)
    assert message.keys() == harmless.keys()
    assert Page(part(message, "html")).tags == Page(part(harmless, "html")).tags
    assert len(part(message, "plain").split("\n\n")) == len(part(harmless, "plain").split("\n\n"))
    assert "evil.example" not in part(message, "plain") + part(message, "html")
    assert "49" not in part(message, "plain")


@every_kind
@everywhere
def test_N_23_the_subject_repeats_no_name(kind: MailKind, locale: str) -> None:
    assert "Mallory" not in rendered(kind, locale, name="Mallory", device="Mallory")["Subject"]


def test_html_loads_nothing_and_runs_nothing() -> None:
    page = Page(part(rendered(), "html"))
    assert not {"img", "script", "link", "iframe", "form", "object"} & set(page.tags)
    assert "url(" not in part(rendered(), "html")


# Words.


@pytest.mark.parametrize(
    ("locale", "minutes", "words"),
    [
        ("en", "1", "within 1 minute."),
        ("en", "15", "within 15 minutes."),
        ("en", "60", "within 1 hour."),
        ("en", "1440", "within 24 hours."),
        ("en", "10080", "within 7 days."),
        ("fr", "1440", "valables 24 heures."),
        ("fr", "10080", "valables 7 jours."),
        ("nl", "60", "binnen 1 uur."),
        ("nl", "1440", "binnen 24 uur."),
        ("nl", "90", "binnen 90 minuten."),
    ],
)
def test_a_duration_reads_well(locale: str, minutes: str, words: str) -> None:
    text = re.sub(r"[ \n]+", " ", part(rendered(locale=locale, expires_minutes=minutes), "plain"))
    assert words in text


@pytest.mark.parametrize("when", ["2026-03-01T14:03:00+00:00", "2026-03-01 14:03 UTC", "2026-03-01T15:03:00+01:00"])
@pytest.mark.parametrize(
    ("locale", "words"),
    [("en", "1 March 2026 at 14:03 UTC"), ("fr", "1er mars 2026 à 14:03 UTC"), ("nl", "1 maart 2026 om 14:03 UTC")],
)
def test_a_time_reads_well(when: str, locale: str, words: str) -> None:
    text = part(rendered(MailKind.PASSWORD_CHANGED, locale, when=when), "plain")
    assert words in re.sub(r"\s+", " ", text)


def test_french_punctuation_sticks_to_its_word() -> None:
    for kind in KINDS:
        assert not re.search(r"(?m)[ \n][:;?!»]", part(rendered(kind, "fr"), "plain"))


@everywhere
def test_a_mail_to_nobody_in_particular_still_greets(locale: str) -> None:
    greeting = part(rendered(locale=locale, name=""), "plain").splitlines()[0]
    assert re.fullmatch(r"\w+,", greeting)


def test_a_device_that_is_not_known_is_left_out() -> None:
    assert "()" not in part(rendered(MailKind.SESSION_REUSED, device=""), "plain")


def test_a_value_that_is_missing_is_an_error_not_a_gap() -> None:
    with pytest.raises(jinja2.UndefinedError):
        write(MailKind.ACCOUNT_EXISTS, "en", {"name": "Ada"})


@everywhere
def test_the_verification_mail_tells_strangers_to_ignore_it(locale: str) -> None:
    words = {"en": "You did not register?", "fr": "Vous n'avez pas créé de compte", "nl": "niet geregistreerd?"}
    assert words[locale] in part(rendered(locale=locale), "plain")
