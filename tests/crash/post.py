"""The mails that arrived, whichever process sent them: a real SMTP server that outlives the service."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from dataclasses import dataclass
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, Envelope, Session
from tests.mail.sink import Sink
from tests.mailbox import text_of

_LINK = re.compile(r"/([a-z-]+)#token=([A-Za-z0-9_-]{43})")
_PATIENCE = 20

VERIFY = "verify-email"
RESET = "reset-password"


class Gone(Exception):
    """The service went away before it answered."""


@dataclass(frozen=True)
class Letter:
    """A mail with a link: the page that it leads to, and the secret in it."""

    id: str
    page: str
    secret: str


class Post(Sink):
    """Every copy that was taken, by address. Closed until `reopen`; belongs to the event loop that calls that."""

    def __init__(self) -> None:
        super().__init__()
        self.letters: dict[str, list[Letter]] = defaultdict(list)
        self.is_closed = True
        self._home: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = await super().handle_DATA(server, session, envelope)
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert self._home is not None
        if link := _LINK.search(text_of(mail)):
            letter = Letter(str(mail["Message-ID"]), link[1], link[2])
            self._home.call_soon_threadsafe(self._arrive, envelope.rcpt_tos[0], letter)
        return answer

    def distinct(self, address: str, page: str) -> list[Letter]:
        """The letters of one kind, oldest first, copies of one another counted once."""
        return list(dict.fromkeys(letter for letter in self.letters[address] if letter.page == page))

    async def wait(self, address: str, page: str, count: int = 1) -> Letter:
        """The newest letter of a kind, once `count` have arrived. Raises Gone if nothing can arrive any more."""
        async with asyncio.timeout(_PATIENCE):
            while len(found := self.distinct(address, page)) < count:
                if self.is_closed:
                    raise Gone
                news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.add(news)
                await news
        return found[-1]

    def close(self) -> None:
        """Tell everybody who waits, or is going to, that the service is gone."""
        self.is_closed = True
        self._wake()

    def reopen(self) -> None:
        """The service is back."""
        self._home = asyncio.get_running_loop()
        self.is_closed = False

    def _arrive(self, address: str, letter: Letter) -> None:
        self.letters[address].append(letter)
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for news in waiting:
            if not news.done():
                news.set_result(None)
