"""`file:///dir`: one `.eml` file each, for tests and for looking at mails in a mail program."""

from __future__ import annotations

import os
import re
import tempfile
from datetime import UTC
from email.headerregistry import DateHeader
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from pathlib import Path

from identity.mail.transports.base import ServerUnreachable


class FileTransport:
    """Writes mails into a directory, complete or not at all, readable by nobody else.

    The name is the mail's own date and Message-ID, so a mail that is sent twice is still one file, and
    a listing shows mails in their order.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Writes the mail."""
        content = message.as_bytes(policy=SMTP if recipient.isascii() else SMTPUTF8)
        try:
            self._write(_file_name(message), content)
        except OSError as failure:
            raise ServerUnreachable(f"The mail directory cannot be written ({failure.strerror}).") from None

    def check(self) -> None:
        """Makes the directory and writes into it."""
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._directory):
                pass
        except OSError as failure:
            raise ServerUnreachable(f"The mail directory cannot be written ({failure.strerror}).") from None

    def close(self) -> None:
        """There is nothing to close."""

    def _write(self, name: str, content: bytes) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name_for_now = tempfile.mkstemp(dir=self._directory, prefix=".", suffix=".tmp")
        temporary = Path(name_for_now)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._directory / name)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _file_name(message: EmailMessage) -> str:
    header = message["Date"]
    date = header.datetime if isinstance(header, DateHeader) else None
    time = f"{date.astimezone(UTC):%Y%m%dT%H%M%SZ}" if date else "undated"
    id = str(message["Message-ID"]).strip("<>").partition("@")[0]
    return f"{time}-{re.sub(r'[^A-Za-z0-9.-]', '_', id)}.eml"
