"""The hashing lane: the only place where passwords are hashed (design §8, AV-01, F-17)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from identity.domain.errors import Overloaded

T = TypeVar("T")

_FIRST_GUESS_SECONDS = 0.2  # one bcrypt of cost 11, until something has been measured
_WEIGHT_OF_LATEST = 0.2


@dataclass(eq=False, slots=True)
class _Entry:
    source: str
    work: Callable[[], Any]
    outcome: asyncio.Future[Any]


class HashingLane:
    """Runs slow work in few threads, with a short queue in which every source has its turn.

    The threads take the sources in turn, not the entries, so a flooding source only waits for itself.
    When the queue is full, the source with the longest queue loses its newest entry, so it cannot keep
    others out either. All state belongs to one event loop; only the work itself runs in threads.
    """

    def __init__(self, workers: int, waiting: int) -> None:
        """Bounds the threads (at least 1) and the entries that wait for one (0 or more)."""
        if waiting < 0:
            raise ValueError("the queue cannot be shorter than empty")
        self._workers = workers
        self._limit = waiting
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="hashing")
        self._queues: OrderedDict[str, deque[_Entry]] = OrderedDict()  # in the order of their turns; none is empty
        self._waiting = 0
        self._running: set[asyncio.Future[Any]] = set()
        self._work_seconds = _FIRST_GUESS_SECONDS
        self._closed = False
        self.shed = 0  # entries that were refused, ever, because too many waited

    @property
    def waiting(self) -> int:
        """Counts the entries that no thread has taken yet."""
        return self._waiting

    @property
    def running(self) -> int:
        """Counts the threads at work."""
        return len(self._running)

    async def run(self, source: str, work: Callable[[], T]) -> T:
        """Runs `work` in a thread, with the caller's context variables, and gives its result or error.

        Raises `Overloaded`, before any work, if there is no room for this source or the lane is closed.
        A caller cancelled while waiting leaves the queue; work that has begun runs to its end.
        """
        if self._closed:
            raise self._overloaded()
        entry = _Entry(source, partial(copy_context().run, work), asyncio.get_running_loop().create_future())
        self._queues.setdefault(source, deque()).append(entry)
        self._waiting += 1
        self._start_next()
        if self._waiting > self._limit:
            self._shed(source)
        try:
            result: T = await entry.outcome
        except asyncio.CancelledError:
            self._leave(entry)
            raise
        return result

    async def close(self) -> None:
        """Refuses what waits and whatever comes, and returns when the running work has ended."""
        self._closed = True
        while self._queues:
            self._refuse(self._take_newest(next(iter(self._queues))))
        if self._running:
            await asyncio.wait(self._running)
        self._threads.shutdown()

    def _start_next(self) -> None:
        while self._queues and len(self._running) < self._workers:
            source, queue = self._queues.popitem(last=False)
            entry = queue.popleft()
            self._waiting -= 1
            if queue:
                self._queues[source] = queue  # at the end: the others come first
            if entry.outcome.cancelled():
                continue  # its caller has not come to leave yet
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._threads, entry.work)
            self._running.add(running)
            running.add_done_callback(partial(self._finish, entry, loop.time()))

    def _finish(self, entry: _Entry, started: float, running: asyncio.Future[Any]) -> None:
        self._running.discard(running)
        took = asyncio.get_running_loop().time() - started
        self._work_seconds += _WEIGHT_OF_LATEST * (took - self._work_seconds)
        self._start_next()
        error = running.exception()
        if entry.outcome.done():
            return  # the caller was cancelled meanwhile: nobody to tell
        if error is None:
            entry.outcome.set_result(running.result())
        else:
            entry.outcome.set_exception(error)

    def _shed(self, newcomer: str) -> None:
        # Between queues of the same length, those who came first stay.
        longest = max(self._queues, key=lambda source: (len(self._queues[source]), source == newcomer))
        self._refuse(self._take_newest(longest))
        self.shed += 1

    def _take_newest(self, source: str) -> _Entry:
        entry = self._queues[source].pop()
        self._waiting -= 1
        if not self._queues[source]:
            del self._queues[source]
        return entry

    def _leave(self, entry: _Entry) -> None:
        queue = self._queues.get(entry.source, deque())
        if entry in queue:
            queue.remove(entry)
            self._waiting -= 1
            if not queue:
                del self._queues[entry.source]

    def _refuse(self, entry: _Entry) -> None:
        if not entry.outcome.done():
            entry.outcome.set_exception(self._overloaded())

    def _overloaded(self) -> Overloaded:
        ahead = len(self._running) + self._waiting
        return Overloaded(retry_after=self._work_seconds * (ahead + 1) / self._workers)
