"""Mails as their reader sees them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from html.parser import HTMLParser
from uuid import UUID

import pytest

from identity.domain.mails import MailKind
from identity.mail.letterhead import Letterhead
from identity.mail.letters import LANGUAGES
from identity.mail.rendering import render

ID = UUID("0190a1b2-0000-7000-8000-00000000000a")
DATE = datetime(2026, 3, 1, 14, 3, tzinfo=UTC)
TOKEN = "q3Jk-_" * 7
CODE = "073651"
PASSWORD = "Kd7f-pQ2x-Lm8r-Tz3w"
VALUES = {
    "name": "Zoë",
    "when": "2026-03-01T14:03:00+00:00",
    "device": "Firefox on Linux",
    "source": "203.0.113.7",
    "expires_minutes": "60",
    "tenant_name": "Salon Chloé",
    "invited_by": "Bram",
    "role_name": "Manager",
    "who": "Yara",
}
CHOSEN_BY_PEOPLE = ("name", "device", "tenant_name", "invited_by", "role_name", "who")
KINDS = [kind for kind in MailKind if not kind.is_request]
WITH_LINK = {
    MailKind.VERIFY_EMAIL: "verify-email",
    MailKind.PASSWORD_RESET: "reset-password",
    MailKind.INVITE: "accept-invite",
    MailKind.UNLOCK_ACCOUNT: "unlock-account",
}
SECRET = {
    **dict.fromkeys(WITH_LINK, ("token", TOKEN)),
    MailKind.SIGN_IN_CODE: ("code", CODE),
    MailKind.TEMPORARY_PASSWORD: ("password", PASSWORD),
}


def rendered(kind: MailKind = MailKind.VERIFY_EMAIL, locale: str = "en", **changes: str) -> EmailMessage:
    """The message as a recipient's program sees it: through its bytes."""
    public_url = changes.pop("public_url", "https://id.example")
    recipient = changes.pop("recipient", "ada@example.org")
    values = {**VALUES, **dict([SECRET[kind]] if kind in SECRET else []), **changes}
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
