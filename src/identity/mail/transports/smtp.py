"""`smtp://` and `smtps://`: mails to a relay."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from enum import StrEnum

from identity.mail.transports.base import (
    MessageRefused,
    PermanentFailure,
    RecipientRefused,
    ServerUnreachable,
    TemporaryFailure,
)
from identity.mail.trust import system_trust

# 5xx answers about the connection's credentials or encryption: settings are wrong, not the mail.
_WANTS_LOGIN = frozenset({530, 534, 535, 538})


class Encryption(StrEnum):
    """How a connection is encrypted; the names are what `?starttls=` takes, apart from IMPLICIT."""

    IMPLICIT = "implicit"
    REQUIRED = "required"
    IF_OFFERED = "if-offered"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Relay:
    """Where the mails go. The credentials are not part of its repr."""

    host: str
    port: int
    encryption: Encryption
    credentials: tuple[str, str] | None = field(default=None, repr=False)


class SmtpTransport:
    """Sends to one relay, over one connection that is kept until `close`.

    Every wait is bounded by `timeout` seconds, and the relay's certificate is verified.
    """

    def __init__(self, relay: Relay, *, timeout: float = 10.0, tls: ssl.SSLContext | None = None) -> None:
        self._relay = relay
        self._timeout = timeout
        self._tls = tls
        self._connection: smtplib.SMTP | None = None

    def __repr__(self) -> str:
        return f"SmtpTransport({self._relay!r})"

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Sends one message to one recipient."""
        connection = self._usable_connection()
        try:
            connection.send_message(message, sender, [recipient])
        except (OSError, smtplib.SMTPException) as failure:
            if not isinstance(failure, smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused):
                self._abandon()
            raise _translated(failure) from None

    def check(self) -> None:
        """Connects, encrypts and signs in, then hangs up."""
        self._usable_connection()
        self.close()

    def close(self) -> None:
        """Says goodbye, if anybody is listening."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.quit()
            except (OSError, smtplib.SMTPException):
                connection.close()

    def _usable_connection(self) -> smtplib.SMTP:
        if self._connection is None or not _is_alive(self._connection):
            self._abandon()
            self._connection = self._connect()
        return self._connection

    def _abandon(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> smtplib.SMTP:
        try:
            connection = self._dial()
        except (OSError, smtplib.SMTPException) as failure:
            raise _unreachable(failure) from None
        try:
            self._prepare(connection)
        except (OSError, smtplib.SMTPException) as failure:
            connection.close()
            raise _unreachable(failure) from None
        except ServerUnreachable:
            connection.close()
            raise
        return connection

    def _dial(self) -> smtplib.SMTP:
        relay = self._relay
        if relay.encryption is Encryption.IMPLICIT:
            return smtplib.SMTP_SSL(relay.host, relay.port, timeout=self._timeout, context=self._tls or system_trust())
        return smtplib.SMTP(relay.host, relay.port, timeout=self._timeout)

    def _prepare(self, connection: smtplib.SMTP) -> None:
        relay = self._relay
        connection.ehlo_or_helo_if_needed()
        offered = connection.has_extn("starttls")
        if relay.encryption is Encryption.REQUIRED and not offered:
            raise ServerUnreachable(
                "The mail server does not offer STARTTLS. Use smtps://, or add ?starttls=off"
                " to the mail URL if the network up to the server is trusted."
            )
        if offered and relay.encryption in (Encryption.REQUIRED, Encryption.IF_OFFERED):
            connection.starttls(context=self._tls or system_trust())
        if relay.credentials is not None:
            connection.login(*relay.credentials)


def _is_alive(connection: smtplib.SMTP) -> bool:
    try:
        return connection.noop()[0] == 250
    except (OSError, smtplib.SMTPException):
        return False


def _unreachable(failure: Exception) -> ServerUnreachable:
    """What went wrong before any mail was spoken of."""
    match failure:
        case ssl.SSLCertVerificationError():
            text = f"The mail server's certificate is not trusted ({failure.verify_message})."
        case ssl.SSLError():
            text = "The mail server does not speak TLS on this port: smtps:// wants it, smtp:// starts without."
        case TimeoutError():
            text = "The mail server does not answer in time."
        case smtplib.SMTPAuthenticationError():
            text = f"The mail server does not accept the user name and password ({failure.smtp_code})."
        case smtplib.SMTPNotSupportedError():
            text = "The mail server takes no user name and password here."
        case smtplib.SMTPResponseException():
            text = f"The mail server turns the connection away ({failure.smtp_code})."
        case smtplib.SMTPServerDisconnected():
            text = "The mail server hangs up or does not answer in time."
        case OSError() if not isinstance(failure, smtplib.SMTPException):
            text = f"The mail server cannot be reached ({failure.strerror or type(failure).__name__})."
        case _:
            text = f"The mail server cannot be used ({type(failure).__name__})."
    return ServerUnreachable(text)


def _translated(failure: Exception) -> TemporaryFailure | PermanentFailure:
    """What went wrong with one mail.

    A connection that breaks after DATA leaves open whether the mail was taken (RFC 1047). It counts as
    not sent: a second copy with the same Message-ID is better than none.
    """
    match failure:
        case smtplib.SMTPRecipientsRefused():
            code = next(iter(failure.recipients.values()))[0]
            if _is_permanent(code):
                return RecipientRefused(f"The mail server refuses the recipient ({code}).")
            return TemporaryFailure(f"The mail server does not take the recipient now ({code}).")
        case smtplib.SMTPSenderRefused():
            # The sender is ours and the same for all mails, so even a 5xx means wrong settings.
            return TemporaryFailure(f"The mail server refuses the sender address ({failure.smtp_code}).")
        case smtplib.SMTPNotSupportedError():
            return RecipientRefused("The mail server cannot mail to addresses outside ASCII (no SMTPUTF8).")
        case smtplib.SMTPResponseException():
            code = failure.smtp_code
            if _is_permanent(code):
                return MessageRefused(f"The mail server refuses the message ({code}).")
            return TemporaryFailure(f"The mail server does not take the message now ({code}).")
        case _:
            return TemporaryFailure("The connection to the mail server broke or took too long.")


def _is_permanent(code: int) -> bool:
    return 500 <= code < 600 and code not in _WANTS_LOGIN
