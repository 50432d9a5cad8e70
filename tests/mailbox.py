"""The mails that really arrived, by address, from a real SMTP server."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import defaultdict
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.smtp import SMTP, Envelope, Session
from tests.mail.sink import Sink

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
_PATIENCE = 20


class Mailbox(Sink):
    """A sink whose arrivals can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._arrived = threading.Condition()
        self._by_address: dict[str, list[EmailMessage]] = defaultdict(list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = await super().handle_DATA(server, session, envelope)
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        with self._arrived:
            for address in envelope.rcpt_tos:
                self._by_address[address].append(mail)
            self._arrived.notify_all()
        return answer

    def of(self, address: str) -> list[EmailMessage]:
        """What has arrived for an address, oldest first."""
        return list(self._by_address[address])

    def count(self, address: str) -> int:
        """How many mails have arrived for an address."""
        return len(self._by_address[address])

    async def wait(self, address: str, count: int = 1) -> EmailMessage:
        """The newest mail of an address, once `count` have arrived."""
        await self._until(lambda: self.count(address) >= count)
        assert self.count(address) >= count, f"{self.count(address)} of {count} mails arrived"
        return self.of(address)[-1]

    async def token(self, address: str, count: int = 1, *, subject: str = "") -> str:
        """The secret in the newest mail of an address, once there is one in its mail number `count` or later.

        With a subject, only mails that have it are counted.
        """
        found: list[str] = []

        def arrived() -> bool:
            mails = [mail for mail in self.of(address) if subject in mail["Subject"]]
            found[:] = [secret for mail in mails[count - 1 :] for secret in secrets_of(mail)]
            return bool(found)

        await self._until(arrived)
        assert found, f"no mail with a secret arrived for {address}"
        return found[-1]

    async def titled(self, address: str, subject: str, count: int = 1) -> EmailMessage:
        """The newest mail of an address with these words in its subject, once `count` of those have arrived."""
        found: list[EmailMessage] = []

        def arrived() -> bool:
            found[:] = [mail for mail in self.of(address) if subject in mail["Subject"]]
            return len(found) >= count

        await self._until(arrived)
        assert len(found) >= count, f"{len(found)} of {count} such mails arrived"
        return found[-1]

    async def alone(self, address: str, pattern: str, count: int = 1) -> str:
        """What stands alone on a line of an address's mails and matches, once `count` mails have such a line."""
        found: list[str] = []

        def arrived() -> bool:
            found[:] = [line for mail in self.of(address) for line in lines_of(mail) if re.fullmatch(pattern, line)]
            return len(found) >= count

        await self._until(arrived)
        assert len(found) >= count, f"{len(found)} of {count} such lines arrived"
        return found[-1]

    async def _until(self, arrived: Callable[[], bool]) -> None:
        def wait() -> None:
            with self._arrived:
                self._arrived.wait_for(arrived, _PATIENCE)

        await asyncio.to_thread(wait)


def text_of(mail: EmailMessage) -> str:
    """The text part of a mail."""
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def secrets_of(mail: EmailMessage) -> list[str]:
    """The secrets that stand alone on a line of a mail's text: one, or none."""
    return [line.strip() for line in text_of(mail).splitlines() if _SECRET.fullmatch(line.strip())]


def lines_of(mail: EmailMessage) -> list[str]:
    """The lines of a mail's text, without the space around them."""
    return [line.strip() for line in text_of(mail).splitlines()]
