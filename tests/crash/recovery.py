"""The service is started again after its end, and has to make good on everything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
from tests.child import Child, child
from tests.crash.person import Line, Person
from tests.crash.post import Gone, Post
from tests.crash.settling import check_mails, settle
from tests.crash.whole import count, halves

STEP = 300.0
"""Seconds: longer than a lease of the outbox, and than what lies between two reset mails to one address."""

_POLICY = {"max_sessions": 1000, "lifetimes": {"refresh_grace": "PT60S", "access_token": "P5D"}}


class Deployment:
    """One database, and the processes that serve it one after the other."""

    def __init__(self, directory: Path, url: str, post: Post) -> None:
        self.url = url
        self._directory = directory
        self._post = post
        self._ahead = 0.0

    @asynccontextmanager
    async def start(self, crowd: Iterable[Person]) -> AsyncIterator[Child]:
        """A new process, which finds everything in order: for each of the people, in the database, in the mail."""
        settings = {"database_url": self.url, "mail_url": self._post.url, "policy": _POLICY}
        async with child(self._directory, ahead=self._ahead, **settings) as service:
            self._post.reopen()
            async with self.line(service) as line:
                await together(settle(person, line) for person in crowd)
                assert halves(self.url) == {}
                await self.advance(service)
                for person in crowd:
                    check_mails(person, line)
            yield service

    async def advance(self, service: Child) -> None:
        """Let time pass: what a dead process had leased is sent."""
        self._ahead += STEP
        await service.advance(STEP)
        await self.drained()

    @asynccontextmanager
    async def line(self, service: Child, tick: Callable[[], None] = lambda: None) -> AsyncIterator[Line]:
        """A connection of its own to a process."""
        async with grpc.aio.insecure_channel(service.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            yield Line(channel, self._post, tick)

    def kill(self, service: Child) -> None:
        """kill -9: nobody gets an answer any more, and no mail comes."""
        service.kill()
        self._post.close()

    async def drained(self) -> None:
        """Returns when no mail waits any more. Raises Gone once nobody is left to send one."""
        async with asyncio.timeout(20):
            while count(self.url, "outbox", "status = 'waiting'"):
                if self._post.is_closed:
                    raise Gone
                await asyncio.sleep(0.01)  # nothing outside the service hears of the end of a mail
        await asyncio.sleep(0)  # what the post was told before


async def together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all of them beside each other; the first failure ends them."""
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)
