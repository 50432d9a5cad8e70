"""What all mails of a deployment have in common."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from identity.mail.rendering import address_header


@dataclass(frozen=True, slots=True)
class Letterhead:
    """Who writes, and where links lead: settings, never anything of a request (RC-04).

    `sender` is a bare address and `product_name` the name shown with it. Raises ValueError for what could
    not stand in a mail, at the start of the service and not at its first mail.
    """

    sender: str
    public_url: str
    product_name: str

    def __post_init__(self) -> None:
        try:
            address_header(self.sender)
        except ValueError:
            raise ValueError("The sender of mails is one bare address. Write no-reply@your.domain.") from None
        if not _is_base_url(self.public_url):
            raise ValueError("The public URL is the base of links in mails. Write https://your.domain or with a path.")
        if not self.product_name.strip() or not self.product_name.isprintable():
            raise ValueError("The product name in mails is one line of text that can be seen.")

    def message_id(self, mail_id: UUID) -> str:
        """The Message-ID of an outbox row, the same for ever (F-12)."""
        host = urlsplit(self.public_url).hostname or ""
        return f"<{mail_id}@[IPv6:{host}]>" if ":" in host else f"<{mail_id}@{host}>"


def _is_base_url(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or " " in url or "?" in url or "#" in url or "@" in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
