"""What the mails say, in every language."""

from __future__ import annotations

import re

import jinja2
import pytest
from tests.mail.reading import DATE, KINDS, VALUES, WITH_LINK, Page, every_kind, everywhere, part, rendered

from identity.domain.mails import MailKind
from identity.mail.letters import LANGUAGES, write


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
