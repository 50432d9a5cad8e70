"""What every way out for short messages does; it fails as those for mails do (`mail/transports/base.py`)."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID


class SmsUrlInvalid(ValueError):
    """An SMS URL that cannot be used; the text says what to write and repeats nothing of the URL."""


class SmsTransport(Protocol):
    """A way out. Used by one thread at a time."""

    def send(self, id: UUID, to: str, text: str) -> None:
        """Hand one message over; a retry carries the same id. Raises TemporaryFailure or PermanentFailure."""

    def check(self) -> None:
        """Find out, without sending, whether messages could leave. Raises TemporaryFailure if not."""
