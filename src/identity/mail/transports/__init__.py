"""The ways a mail can leave: `open_transport` picks one by URL."""

from identity.mail.transports.base import (
    MailUrlInvalid,
    MessageRefused,
    PermanentFailure,
    RecipientRefused,
    ServerUnreachable,
    TemporaryFailure,
    Transport,
)
from identity.mail.transports.urls import open_transport

__all__ = [
    "MailUrlInvalid",
    "MessageRefused",
    "PermanentFailure",
    "RecipientRefused",
    "ServerUnreachable",
    "TemporaryFailure",
    "Transport",
    "open_transport",
]
