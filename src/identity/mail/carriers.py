"""The two ways out of the outbox: how a row becomes a message, and who takes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from identity.domain.mails import Channel, OutboxMail
from identity.mail.letterhead import Letterhead
from identity.mail.rendering import AddressInvalid, render, render_sms
from identity.mail.sms import SmsTransport
from identity.mail.transports import Transport

_NUMBER = re.compile(r"\+[1-9][0-9]{1,14}")


class Carrier(Protocol):
    """Carries the rows of one channel. Used by one thread at a time."""

    @property
    def channel(self) -> Channel: ...

    def carry(self, mail: OutboxMail, values: Mapping[str, str]) -> None:
        """Render a row and hand it over. Raises TemporaryFailure, PermanentFailure or AddressInvalid."""

    def close(self) -> None:
        """Let go of what is kept between messages."""


class MailCarrier:
    """Carries mails to addresses."""

    channel = Channel.MAIL

    def __init__(self, transport: Transport, letterhead: Letterhead) -> None:
        self._transport = transport
        self._letterhead = letterhead

    def carry(self, mail: OutboxMail, values: Mapping[str, str]) -> None:
        """Sends the mail of a row, always with the same Message-ID."""
        head = self._letterhead
        message = render(
            mail.kind,
            mail.locale,
            values,
            recipient=mail.recipient,
            sender=head.sender,
            public_url=head.public_url,
            product_name=head.product_name,
            message_id=head.message_id(mail.id),
            date=mail.created_at,
        )
        self._transport.send(message, head.sender, mail.recipient)

    def close(self) -> None:
        """Closes the transport's connection."""
        self._transport.close()


class SmsCarrier:
    """Carries one line of text to numbers."""

    channel = Channel.SMS

    def __init__(self, transport: SmsTransport, product_name: str) -> None:
        self._transport = transport
        self._product_name = product_name

    def carry(self, mail: OutboxMail, values: Mapping[str, str]) -> None:
        """Sends the text of a row, always with the row's id."""
        if not _NUMBER.fullmatch(mail.recipient):
            raise AddressInvalid("Not exactly one phone number.")
        text = render_sms(mail.kind, mail.locale, values, product_name=self._product_name)
        self._transport.send(mail.id, mail.recipient, text)

    def close(self) -> None:
        """There is nothing to close."""
