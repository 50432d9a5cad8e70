"""The mails that really arrived, by address, from a real SMTP server."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import defaultdict
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
        self._by_address: dict[str, list[bytes]] = defaultdict(list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = await super().handle_DATA(server, session, envelope)
        assert isinstance(envelope.content, bytes)
        with self._arrived:
            for address in envelope.rcpt_tos:
                self._by_address[address].append(envelope.content)
            self._arrived.notify_all()
        return answer

    def of(self, address: str) -> list[EmailMessage]:
        """What has arrived for an address, oldest first."""
        with self._arrived:
            contents = list(self._by_address[address])
        return [message_from_bytes(content, policy=policy.default) for content in contents]

    def count(self, address: str) -> int:
        """How many mails have arrived for an address."""
        return len(self._by_address[address])

    async def wait(self, address: str, count: int = 1) -> EmailMessage:
        """The newest mail of an address, once `count` have arrived."""

        def arrived() -> bool:
            with self._arrived:
                return self._arrived.wait_for(lambda: self.count(address) >= count, _PATIENCE)

        assert await asyncio.to_thread(arrived), f"{self.count(address)} of {count} mails arrived"
        return self.of(address)[-1]

    async def token(self, address: str, count: int = 1) -> str:
        """The secret that stands alone on a line of the newest mail of an address."""
        return secret_of(await self.wait(address, count))


def text_of(mail: EmailMessage) -> str:
    """The text part of a mail."""
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def secret_of(mail: EmailMessage) -> str:
    """The secret that stands alone on a line of a mail's text."""
    found = [line.strip() for line in text_of(mail).splitlines() if _SECRET.fullmatch(line.strip())]
    assert len(found) == 1
    return found[0]
