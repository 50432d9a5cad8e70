"""What the mails say, in every language."""

from __future__ import annotations

import re

import jinja2
import pytest
from tests.mail.reading import DATE, KINDS, SECRET, VALUES, WITH_LINK, Page, every_kind, everywhere, part, rendered

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


def said(kind: MailKind, locale: str, **changes: str) -> str:
    return re.sub(r"[ \n]+", " ", part(rendered(kind, locale, **changes), "plain"))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (MailKind.INVITE, ("Bram", "Salon Chloé", "Manager", "Acme")),
        (MailKind.INVITE_ACCEPTED, ("Yara", "2026", "14:03")),
        (MailKind.INVITE_DECLINED, ("Yara", "2026", "14:03")),
        (MailKind.TEMPORARY_PASSWORD, ("Salon Chloé", "Acme")),
        (MailKind.FACTOR_CHANGED, ("2026", "14:03")),
        (MailKind.NEW_DEVICE, ("(Firefox on Linux)", "203.0.113.7", "2026", "14:03")),
    ],
)
@everywhere
def test_LO_03_a_mail_says_who_and_what_it_is_about(kind: MailKind, names: tuple[str, ...], locale: str) -> None:
    assert [name for name in names if name not in said(kind, locale)] == []


@pytest.mark.parametrize("kind", [kind for kind in SECRET if kind is not MailKind.VERIFY_EMAIL])
@everywhere
def test_a_secret_comes_with_its_end(kind: MailKind, locale: str) -> None:
    words = {"en": "within 7 days", "fr": "7 jours", "nl": "binnen 7 dagen"}
    assert words[locale] in said(kind, locale, expires_minutes="10080")


@pytest.mark.parametrize(
    "kind",
    [MailKind.PASSWORD_RESET, MailKind.SIGN_IN_CODE, MailKind.TEMPORARY_PASSWORD],
)
@everywhere
def test_N_23_a_mail_with_a_secret_says_never_to_pass_it_on(kind: MailKind, locale: str) -> None:
    words = {"en": "Never pass", "fr": "Ne transmettez jamais", "nl": "nooit door"}
    assert words[locale] in said(kind, locale)


@everywhere
def test_what_is_not_known_is_left_out(locale: str) -> None:
    assert "()" not in said(MailKind.SESSION_REUSED, locale, device="")
    unknown = said(MailKind.NEW_DEVICE, locale, device="", source="")
    assert "()" not in unknown
    assert not re.search(r" [.,]", unknown)
    opening = said(MailKind.INVITE, locale, name="", invited_by="")
    assert "Bram" not in opening
    assert "Salon Chloé" in opening


def test_a_value_that_is_missing_is_an_error_not_a_gap() -> None:
    with pytest.raises(jinja2.UndefinedError):
        write(MailKind.ACCOUNT_EXISTS, "en", {"name": "Ada"})


@everywhere
def test_the_verification_mail_tells_strangers_to_ignore_it(locale: str) -> None:
    words = {"en": "You did not register?", "fr": "Vous n'avez pas créé de compte", "nl": "niet geregistreerd?"}
    assert words[locale] in part(rendered(locale=locale), "plain")
