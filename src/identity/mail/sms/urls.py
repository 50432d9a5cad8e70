"""SMS URLs: `console://`, `https://` and, on the loopback interface, `http://`."""

from __future__ import annotations

import ssl
from urllib.parse import SplitResult, unquote, urlsplit

from identity.mail.hosts import is_host, is_loopback
from identity.mail.sms.base import SmsTransport, SmsUrlInvalid
from identity.mail.sms.console import ConsoleSms
from identity.mail.sms.webhook import Hook, WebhookSms

_FORM = "console:// or https://SECRET@host/path"
_ESCAPES = "In the secret write %40 for @, %3A for :, %2F for /, %3F for ? and %23 for #."
_PORTS = {"https": 443, "http": 80}


def open_sms(url: str, *, timeout: float = 10.0, tls: ssl.SSLContext | None = None) -> SmsTransport:
    """The transport an SMS URL asks for; nothing is connected yet.

    - `console://` prints on standard error.
    - `https://[SECRET@]host[:443]/path` posts JSON there, with the secret as a bearer token.
    - `http://` does the same in the open, which only the loopback interface may see.

    Raises SmsUrlInvalid. Its text repeats nothing of the URL, where a secret may be anywhere.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SmsUrlInvalid(f"The SMS URL cannot be read. Write {_FORM}. {_ESCAPES}") from None
    match parts.scheme:
        case "console":
            if parts[1:] != ("", "", "", ""):
                raise SmsUrlInvalid("The console takes no options. Write the SMS URL as console:// and nothing more.")
            return ConsoleSms()
        case "https" | "http":
            return WebhookSms(_hook(url, parts), timeout=timeout, tls=tls)
        case _:
            raise SmsUrlInvalid(f"The SMS URL has an unknown scheme. Write {_FORM}.")


def _hook(url: str, parts: SplitResult) -> Hook:
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        # The text of this error may quote a piece of the secret.
        raise SmsUrlInvalid(f"The SMS URL's port is not a number. Write {_FORM}. {_ESCAPES}") from None
    if not host or not is_host(host) or port == 0:
        raise SmsUrlInvalid(f"The SMS URL needs a host. Write {_FORM}. {_ESCAPES}")
    if "@" in parts.path + parts.query:
        raise SmsUrlInvalid(f"An @ of the SMS URL is behind its host. Write {_FORM}, and %40 in a path. {_ESCAPES}")
    if "#" in url or not url.isascii() or not url.isprintable() or " " in url:
        raise SmsUrlInvalid(f"The SMS URL is ASCII without spaces and has no fragment. Write {_FORM}. {_ESCAPES}")
    if parts.scheme == "http" and not is_loopback(host):
        raise SmsUrlInvalid("This SMS URL would send codes and its secret unencrypted. Write https://.")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Hook(host, port or _PORTS[parts.scheme], parts.scheme == "https", target, _secret(parts))


def _secret(parts: SplitResult) -> str | None:
    if "@" not in parts.netloc:
        return None
    secret = unquote(parts.username or "")
    if not secret or parts.password is not None:
        raise SmsUrlInvalid(f"In an SMS URL the secret stands alone before the @. Write {_FORM}. {_ESCAPES}")
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise SmsUrlInvalid("The secret of an SMS URL is printable ASCII without spaces. Set another secret.")
    return secret
