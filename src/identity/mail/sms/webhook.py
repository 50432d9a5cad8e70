"""`https://`: short messages to a webhook, where whoever runs the service hands them to an SMS provider."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Timer
from uuid import UUID

from identity.mail.transports import MessageRefused, ServerUnreachable, TemporaryFailure
from identity.mail.trust import system_trust


@dataclass(frozen=True, slots=True)
class Hook:
    """Where the messages go. Neither the secret nor the path, where some gateways have one, is part of its repr."""

    host: str
    port: int
    encrypted: bool
    target: str = field(default="/", repr=False)
    secret: str | None = field(default=None, repr=False)


class WebhookSms:
    """Posts `{"to": …, "text": …, "id": …}`, one connection each.

    Any 2xx means taken. A 429, a 5xx and a redirect, which is never followed, are worth another try; any other 4xx is
    final. Every wait is bounded by `timeout` seconds, and so is the whole of request and answer, however it trickles.
    """

    def __init__(self, hook: Hook, *, timeout: float = 10.0, tls: ssl.SSLContext | None = None) -> None:
        self._hook = hook
        self._timeout = timeout
        self._tls = tls

    def __repr__(self) -> str:
        return f"WebhookSms({self._hook!r})"

    def send(self, id: UUID, to: str, text: str) -> None:
        """Posts the message."""
        body = json.dumps({"to": to, "text": text, "id": str(id)}, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "identity"}
        if self._hook.secret is not None:
            headers["Authorization"] = f"Bearer {self._hook.secret}"
        with self._connected() as connection:
            try:
                connection.request("POST", self._hook.target, body, headers)
                status = connection.getresponse().status
            except (OSError, HTTPException):
                # It may have been taken: a second message with the same id is better than none.
                raise TemporaryFailure("The SMS gateway's answer was lost or took too long.") from None
        _judge(status)

    def check(self) -> None:
        """Connects, encrypts, and hangs up."""
        with self._connected():
            pass

    @contextmanager
    def _connected(self) -> Iterator[HTTPConnection]:
        connection = self._connection()
        try:
            connection.connect()
        except OSError as failure:
            connection.close()
            raise _unreachable(failure) from None
        # The socket's own timeout begins anew with every byte that arrives.
        watch = Timer(self._timeout, _hang_up, [connection.sock])
        watch.daemon = True
        watch.start()
        try:
            yield connection
        finally:
            watch.cancel()
            connection.close()

    def _connection(self) -> HTTPConnection:
        hook = self._hook
        if hook.encrypted:
            return HTTPSConnection(hook.host, hook.port, timeout=self._timeout, context=self._tls or system_trust())
        return HTTPConnection(hook.host, hook.port, timeout=self._timeout)


def _hang_up(connection: socket.socket) -> None:
    try:
        # Of the socket below TLS: no goodbye is said, and whoever waits on it wakes up. Of its reading half alone: with
        # both, the next byte that trickles in resets the connection, and a status that was read already is lost.
        socket.socket.shutdown(connection, socket.SHUT_RD)
    except OSError:
        return


def _judge(status: int) -> None:
    if 200 <= status < 300:
        return
    if 300 <= status < 400:
        raise TemporaryFailure(f"The SMS gateway redirects ({status}). Set the SMS URL to where it leads.")
    if 400 <= status < 500 and status != 429:
        raise MessageRefused(f"The SMS gateway refuses the message ({status}).")
    raise TemporaryFailure(f"The SMS gateway does not take the message now ({status}).")


def _unreachable(failure: OSError) -> ServerUnreachable:
    match failure:
        case ssl.SSLCertVerificationError():
            text = f"The SMS gateway's certificate is not trusted ({failure.verify_message})."
        case ssl.SSLError():
            text = "The SMS gateway does not speak TLS on this port."
        case TimeoutError():
            text = "The SMS gateway does not answer in time."
        case _:
            text = f"The SMS gateway cannot be reached ({failure.strerror or type(failure).__name__})."
    return ServerUnreachable(text)
