"""Mail URLs: `console://`, `file:///dir`, `smtp://` and `smtps://`."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from identity.mail.hosts import is_host, is_loopback
from identity.mail.transports.base import MailUrlInvalid, Transport
from identity.mail.transports.console import ConsoleTransport
from identity.mail.transports.file import FileTransport
from identity.mail.transports.smtp import Encryption, Relay, SmtpTransport

_SMTP_FORM = "smtp://user:password@host:587 or smtps://user:password@host:465"
_ESCAPES = "In a user name or password write %40 for @, %3A for :, %2F for /, %3F for ? and %23 for #."
_STARTTLS = {str(mode): mode for mode in (Encryption.REQUIRED, Encryption.IF_OFFERED, Encryption.OFF)}


def open_transport(url: str, *, timeout: float = 10.0, tls: ssl.SSLContext | None = None) -> Transport:
    """The transport a mail URL asks for; nothing is connected yet.

    - `console://` prints on standard error.
    - `file:///dir` writes one `.eml` file each.
    - `smtp://[user:password@]host[:587]` encrypts with STARTTLS. `?starttls=` says `required`, `if-offered`
      or `off`; unset means `required`, and `off` on the loopback interface.
    - `smtps://[user:password@]host[:465]` speaks TLS from the first byte.

    Raises MailUrlInvalid. Its text repeats nothing of the URL, where a password may be anywhere.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise MailUrlInvalid(f"The mail URL cannot be read. Write {_SMTP_FORM}. {_ESCAPES}") from None
    match parts.scheme:
        case "console":
            if parts[1:] != ("", "", "", ""):
                raise MailUrlInvalid("The console takes no options. Write console:// and nothing more.")
            return ConsoleTransport()
        case "file":
            return FileTransport(_directory(parts))
        case "smtp" | "smtps":
            return SmtpTransport(_relay(parts), timeout=timeout, tls=tls)
        case _:
            raise MailUrlInvalid(
                f"The mail URL has an unknown scheme. Write console://, file:///directory, {_SMTP_FORM}."
            )


def _directory(parts: SplitResult) -> Path:
    path = Path(unquote(parts.path))
    if parts.netloc or parts.query or parts.fragment or not path.is_absolute() or path == Path("/"):
        raise MailUrlInvalid("A directory for mails is an absolute path after three slashes. Write file:///var/mails.")
    return path


def _relay(parts: SplitResult) -> Relay:
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        # The text of this error may quote a piece of the password.
        raise MailUrlInvalid(f"The mail URL's port is not a number. Write {_SMTP_FORM}. {_ESCAPES}") from None
    if not host or not is_host(host) or port == 0 or parts.path not in ("", "/") or parts.fragment:
        raise MailUrlInvalid(f"The mail URL needs a host and no path. Write {_SMTP_FORM}. {_ESCAPES}")
    credentials = _credentials(parts)
    loopback = is_loopback(host)
    if parts.scheme == "smtps":
        if parts.query:
            raise MailUrlInvalid("smtps:// takes no options, it is always encrypted. Remove what follows the ?.")
        return Relay(host, port or 465, Encryption.IMPLICIT, credentials)
    encryption = _starttls(parts.query, Encryption.OFF if loopback else Encryption.REQUIRED)
    if credentials and not loopback and encryption is not Encryption.REQUIRED:
        raise MailUrlInvalid("This mail URL would send its password unencrypted. Write ?starttls=required or smtps://.")
    return Relay(host, port or 587, encryption, credentials)


def _credentials(parts: SplitResult) -> tuple[str, str] | None:
    if parts.username is None and parts.password is None:
        return None
    if not parts.username or not parts.password:
        raise MailUrlInvalid(f"The mail URL has half of user name and password. Write {_SMTP_FORM}. {_ESCAPES}")
    credentials = unquote(parts.username), unquote(parts.password)
    if not all(part.isascii() and part.isprintable() for part in credentials):
        raise MailUrlInvalid("SMTP takes user names and passwords of printable ASCII only. Set another password.")
    return credentials


def _starttls(query: str, default: Encryption) -> Encryption:
    if not query:
        return default
    match parse_qsl(query, keep_blank_values=True):
        case [("starttls", mode)] if mode in _STARTTLS:
            return _STARTTLS[mode]
        case _:
            raise MailUrlInvalid(
                "The only option of smtp:// is starttls. Write ?starttls=required, if-offered or off, or nothing."
            )
