"""Turns a mail's kind and values into a message: plain text first, and the same in HTML (LO-03).

The same row gives the same bytes every time, so that a retry cannot be told from the first try (F-12).
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from ipaddress import ip_address
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from identity.domain.mails import MailKind
from identity.mail.inert import inert
from identity.mail.letters import Letter, language_of, write, write_sms

_WIDTH = 72
_LONGEST_LINE = 998  # RFC 5322 §2.1.1
_SECRETS = ("token", "code", "password")
_SECRET = re.compile(r"[!-~]{1,512}")
_ADDRESS = re.compile(r"(?P<local>{word})@(?P<domain>{word})".format(word=r"[^\s@,;:<>()\[\]\\\"\x00-\x1f\x7f]+"))

_html = Environment(
    loader=PackageLoader("identity.mail"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class AddressInvalid(ValueError):
    """A recipient or sender that is not exactly one address (N-37). The text does not repeat it."""


def render(
    kind: MailKind,
    locale: str,
    values: Mapping[str, str],
    *,
    recipient: str,
    sender: str,
    public_url: str,
    product_name: str,
    message_id: str,
    date: datetime,
) -> EmailMessage:
    """A message to one recipient.

    Values that people chose (names, devices) are made inert. `when` (ISO 8601), `expires_minutes` and `source`
    (an IP address) have a form of their own. A `token`, `code` or `password` stands alone on a line and nowhere
    else. A link is built from `public_url` and nothing else, and only of a token (RC-04).
    """
    secret = _secret(values)
    letter = write(kind, language_of(locale), {**_readable(values), "product_name": product_name})
    link = f"{public_url.rstrip('/')}/{letter.page}#token={quote(secret, safe='')}" if letter.page else ""

    message = EmailMessage(policy=SMTP)
    message["From"] = address_header(sender, product_name)
    message["To"] = address_header(recipient)
    message["Subject"] = letter.subject
    message["Date"] = date
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    text = _text(letter, secret, link, product_name)
    message.set_content(text, cte=_transfer_encoding(text))
    html = _html.get_template("layout.html").render(
        letter=letter, language=letter.language, secret=secret, link=link, product_name=product_name
    )
    message.add_alternative(html, subtype="html", cte=_transfer_encoding(html))
    message["Content-Language"] = letter.language  # last, or it would move into the text part
    message.set_boundary("=_" + hashlib.sha256(message_id.encode()).hexdigest()[:32])
    return message


def render_sms(kind: MailKind, locale: str, values: Mapping[str, str], *, product_name: str) -> str:
    """The same for a phone: one line, in which a `code` may stand."""
    readable = {**_readable(values), "code": _secret(values), "product_name": product_name}
    return write_sms(kind, language_of(locale), readable)


def _text(letter: Letter, secret: str, link: str, product_name: str) -> str:
    parts = [letter.greeting, *map(_wrapped, letter.opening)]
    if link:
        parts += [letter.lead_in, link, _wrapped(letter.or_code)]
    if secret:
        parts.append(secret)
    parts += map(_wrapped, letter.closing)
    parts += [f"{letter.farewell}\n{product_name}", f"-- \n{letter.automatic}"]
    return "\n\n".join(parts) + "\n"


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _secret(values: Mapping[str, str]) -> str:
    secret = next((values[name] for name in _SECRETS if name in values), "")
    if secret and not _SECRET.fullmatch(secret):
        raise ValueError("A token, code or password in a mail is printable ASCII without spaces.")
    return secret


def _readable(values: Mapping[str, str]) -> dict[str, object]:
    readable: dict[str, object] = {name: inert(value) for name, value in values.items() if name not in _SECRETS}
    if "when" in values:
        readable["when"] = datetime.fromisoformat(values["when"].replace(" UTC", "+00:00")).astimezone(UTC)
    if "expires_minutes" in values:
        readable["expires_minutes"] = int(values["expires_minutes"])
    if values.get("source"):
        readable["source"] = str(ip_address(values["source"].partition("%")[0]))
    return readable


def address_header(address: str, display_name: str = "") -> Address:
    """One address, for a header. Raises AddressInvalid for none, several, or one with a name in it."""
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise AddressInvalid("Not exactly one mail address.")
    return Address(display_name, username=parts["local"], domain=parts["domain"])


def _transfer_encoding(text: str) -> str:
    """Plain 7-bit where possible: the secret then stands unbroken in the raw message too."""
    fits = text.isascii() and max(map(len, text.splitlines())) <= _LONGEST_LINE
    return "7bit" if fits else "quoted-printable"
