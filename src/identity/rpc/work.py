"""Running servicer methods so that nobody outside can tear them (F-21).

A method that has begun runs to its end, whether or not its client is still there: what it does is one
transaction, and its slot is free only when it has really ended.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, Protocol, TypeVar

from identity.domain.errors import Overloaded, ServiceUnavailable

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

RETRY_SECONDS: Final = 1.0
_HASHES: Final = "__hashes__"
_RECALL: Final = "__recall__"


class Lane(Protocol):
    """The hashing lane: its own threads and queue, fair between sources (AV-01)."""

    async def run(self, source: str, work: Callable[[], T]) -> T: ...


class TimeLimit(Exception):
    """The server's own deadline passed; the work goes on."""


def hashes(method: F) -> F:
    """Marks a servicer method that hashes a password, so that it runs in the hashing lane."""
    if inspect.iscoroutinefunction(method):
        raise TypeError("a method that hashes has to be synchronous, or it would hash on the event loop")
    setattr(method, _HASHES, True)
    return method


def is_hashing(method: Callable[..., Any]) -> bool:
    return getattr(method, _HASHES, False)


def known_by(recall: Callable[[Any, Any], Any]) -> Callable[[F], F]:
    """Marks a servicer method whose answer may be known: `recall`, of the same servicer, gives it, or None.

    It is asked first, on the event loop, so that it must be quick and do no I/O; only what is not known costs a
    thread. Methods that need a permission are never answered so.
    """

    def mark(method: F) -> F:
        setattr(method, _RECALL, recall)
        return method

    return mark


def recall_of(method: Callable[..., Any]) -> Callable[[Any], Any] | None:
    """Gives what answers a bound method where the answer is known, if it has such a thing."""
    recall = getattr(method, _RECALL, None)
    return None if recall is None else partial(recall, getattr(method, "__self__", None))


class Work:
    """A piece of work that was started, and ends by itself; who waits for it may stop waiting.

    Like a future behind a shield, with two differences. It takes any error for a value, where a future refuses
    some and lets others stop the event loop. And it wakes who waits directly, where a shielded task takes two
    more turns of the loop, which is most of what an asynchronous method costs.
    """

    __slots__ = ("_at_end", "_error", "_has_ended", "_result", "_task", "_waiter")

    def __init__(self) -> None:
        self._has_ended = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._at_end: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def ended(cls, result: Any) -> Work:
        """Gives work that was no work."""
        work = cls()
        work._has_ended, work._result = True, result
        return work

    @classmethod
    def start(cls, awaitable: Awaitable[Any]) -> Work:
        """Awaits something in a task of its own."""
        work = cls()
        work._task = asyncio.get_running_loop().create_task(work._await(awaitable))
        return work

    def end(self, result: Any, error: BaseException | None) -> None:
        """Says, on the event loop, that the work has ended, and how."""
        self._has_ended, self._result, self._error = True, result, error
        self._wake()
        if self._at_end is not None:
            self._at_end()

    async def wait(self, seconds: float) -> None:
        """Returns when the work has ended; raises `TimeLimit` if it has not by then. Neither reaches the work."""
        if self._has_ended:
            return
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None
        if not self._has_ended:
            raise TimeLimit

    def result(self) -> Any:
        """Gives the result of work that has ended, or raises its error."""
        if self._error is not None:
            raise self._error
        return self._result

    @property
    def error(self) -> BaseException | None:
        return self._error

    def at_end(self, callback: Callable[[], None]) -> None:
        """Calls back when the work has ended: at once, if it has."""
        if self._has_ended:
            callback()
        else:
            self._at_end = callback

    def give_up(self) -> None:
        """Cancels a task that is known to do nothing yet but wait for its turn."""
        if self._task is not None:
            self._task.add_done_callback(self._end_unbegun)
            self._task.cancel()

    def _end_unbegun(self, _: object) -> None:
        # A task that is cancelled before its first step never gets to say that it ended.
        if not self._has_ended:
            self.end(None, asyncio.CancelledError())

    async def _await(self, awaitable: Awaitable[Any]) -> None:
        try:
            result = await awaitable
        except BaseException as error:
            self.end(None, error)
        else:
            self.end(result, None)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Gate:
    """Bounds what is in progress, and is shut when the service ends."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._shut = False
        self._empty: asyncio.Future[None] | None = None
        self.inside = 0

    def enter(self) -> None:
        """Takes a place. Raises `ServiceUnavailable` when shut and `Overloaded` when full, before any work."""
        if self._shut:
            raise ServiceUnavailable(retry_after=RETRY_SECONDS)
        if self.inside >= self._limit:
            raise Overloaded(retry_after=RETRY_SECONDS)
        self.inside += 1

    def leave(self) -> None:
        self.inside -= 1
        if self.inside == 0 and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    @property
    def is_shut(self) -> bool:
        return self._shut

    def shut(self) -> None:
        self._shut = True

    async def wait_empty(self) -> None:
        """Returns when everybody has left. Shut the gate first."""
        while self.inside:
            self._empty = asyncio.get_running_loop().create_future()
            await self._empty


class Threads:
    """A few threads with a bounded queue, for one event loop.

    Cheaper than `ThreadPoolExecutor`, and a place in the queue is given back by the thread that ends the work,
    never by a client that goes away.
    """

    def __init__(self, threads: int, waiting: int) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._places = Gate(threads + waiting)
        self._threads = [Thread(target=self._run, name=f"rpc-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def start(self, function: Callable[..., Any], *args: object) -> Work:
        """Queues a call, with the context of the caller. Raises `Overloaded` when the queue is full."""
        self._places.enter()
        work, loop, context = Work(), asyncio.get_running_loop(), copy_context()

        def run() -> None:
            result, error = None, None
            try:
                result = context.run(function, *args)
            except BaseException as raised:
                error = raised
            with suppress(RuntimeError):  # the loop was closed: nobody is left to tell
                loop.call_soon_threadsafe(self._finish, work, result, error)

        self._queue.put(run)
        return work

    async def close(self) -> None:
        """Refuses what comes and returns when everything that was queued has ended."""
        self._places.shut()
        await self._places.wait_empty()
        for _ in self._threads:
            self._queue.put(None)

    def _run(self) -> None:
        while (run := self._queue.get()) is not None:
            run()

    def _finish(self, work: Work, result: Any, error: BaseException | None) -> None:
        self._places.leave()
        work.end(result, error)
