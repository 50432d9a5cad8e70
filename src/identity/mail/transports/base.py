"""What every transport does, and how it fails.

The text of a failure is written for operators and logs: it names the server's answer code and what to
do, never an address, a credential or a word of the mail.
"""

from __future__ import annotations

from email.message import EmailMessage
from typing import Protocol


class TemporaryFailure(Exception):
    """Not now: the same mail may work later."""


class ServerUnreachable(TemporaryFailure):
    """There is nobody to talk to, so no other mail would fare better now."""


class PermanentFailure(Exception):
    """Not this mail, ever: trying again gives the same answer."""


class RecipientRefused(PermanentFailure):
    """The address does not exist, or does not take mail from here."""


class MessageRefused(PermanentFailure):
    """The server does not want this message."""


class MailUrlInvalid(ValueError):
    """A mail URL that cannot be used; the text says what to write and repeats nothing of the URL."""


class Transport(Protocol):
    """A way out. Used by one thread at a time."""

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Hand one message over. Raises TemporaryFailure or PermanentFailure."""

    def check(self) -> None:
        """Find out, without sending, whether mails could leave. Raises TemporaryFailure if not."""

    def close(self) -> None:
        """Let go of a connection kept between mails; the next `send` opens another one."""
