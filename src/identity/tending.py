"""What a service does beside serving: it looks at its database all the time, and says whether it is ready.

A look that gets no answer holds up neither the next one nor a chore, so that what a process believes is fresh again as
soon as the database is (F-11), and a long clean-up keeps nobody from learning of a sign-out (SE-04).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import structlog

from identity.domain.errors import ServiceUnavailable

LOOK_EVERY = 0.25
"""Seconds between two looks: a quarter of what SE-04 allows."""

LOOK_SECONDS = 1.5
"""How long a look may take before the service says that it is not ready, which it has to within 2 s (F-11)."""

_THREADS = 6  # two looks without an answer beside the next one, and the chores


class Chore(NamedTuple):
    """Something to do every so many seconds; the first time after one interval."""

    name: str
    do: Callable[[], object]
    every: float


class Tending:
    """Looks and does chores in threads of its own, from `start` to `stop`."""

    def __init__(
        self,
        look: Callable[[], object],
        chores: Sequence[Chore],
        ready: Callable[[], Awaitable[None]],
        not_ready: Callable[[], Awaitable[None]],
    ) -> None:
        self._look = look
        self._chores = chores
        self._ready = ready
        self._not_ready = not_ready
        self._is_ready = True
        self._log = structlog.get_logger("identity.tending")
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tending")
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; the service is ready as far as anybody knows."""
        works = [self._keep_looking(), *map(self._repeat, self._chores)]
        self._tasks = [asyncio.create_task(work) for work in works]

    async def stop(self) -> None:
        """End, without waiting for what gets no answer."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            look = self._begin(self._look)
            await asyncio.wait([look], timeout=LOOK_SECONDS)
            await self._judge(look)

    async def _judge(self, look: asyncio.Future[object]) -> None:
        error = look.exception() if look.done() else ServiceUnavailable()
        if error is None and not self._is_ready:
            self._log.warning("the database is back: ready")
            await self._ready()
        elif error is not None and self._is_ready:
            self._log.error("the database is out of reach: not ready")
            await self._not_ready()
        if error is not None and not isinstance(error, ServiceUnavailable):
            self._log.error("a look at the database failed", exc_info=error)
        self._is_ready = error is None

    async def _repeat(self, chore: Chore) -> None:
        while True:
            await asyncio.sleep(chore.every)
            try:
                await self._begin(chore.do)
            except ServiceUnavailable:
                # Whether reading works is for the looks to say; a full disk, for one, keeps only writers out (F-14).
                self._log.warning("a chore waits until the database takes it", chore=chore.name)
            except Exception:
                self._log.exception("a chore failed", chore=chore.name)

    def _begin(self, work: Callable[[], object]) -> asyncio.Future[object]:
        future = asyncio.get_running_loop().run_in_executor(self._threads, work)
        future.add_done_callback(_retrieve)
        return future


def _retrieve(future: asyncio.Future[object]) -> None:
    """What nobody waits for any more may fail without a word."""
    if not future.cancelled():
        future.exception()
