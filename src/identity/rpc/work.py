"""Running servicer methods so that nobody outside can tear them (F-21).

A method that has begun runs to its end, whether or not its client is still there: what it does is one
transaction, and its slot is free only when it has really ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, Protocol, TypeVar

from identity.domain.errors import Overloaded, ServiceUnavailable

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

Outcome = tuple[Any, BaseException | None]
"""A result or an error. As a value, since a future refuses some errors and lets others stop the event loop."""

RETRY_SECONDS: Final = 1.0
_HASHES: Final = "__hashes__"


class Lane(Protocol):
    """The hashing lane: its own threads and queue, fair between sources (AV-01)."""

    async def run(self, source: str, work: Callable[[], T]) -> T: ...


class TimeLimit(Exception):
    """The server's own deadline passed; the work goes on."""


def hashes(method: F) -> F:
    """Marks a servicer method that hashes a password, so that it runs in the hashing lane."""
    setattr(method, _HASHES, True)
    return method


def is_hashing(method: Callable[..., Any]) -> bool:
    return getattr(method, _HASHES, False)


async def settle(work: Awaitable[Any]) -> Outcome:
    """Awaits to the end, and gives the result or the error as a value."""
    try:
        return await work, None
    except BaseException as error:
        return None, error


async def within(work: asyncio.Future[Outcome], seconds: float) -> Outcome:
    """Waits for work; neither the time limit nor the end of the waiting reaches it.

    What `asyncio.wait` does, for one future and at half the price.
    """
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    wake = partial(_wake, waiter)
    work.add_done_callback(wake)
    timer = loop.call_later(seconds, wake, None)
    try:
        await waiter
    finally:
        timer.cancel()
        work.remove_done_callback(wake)
    if not work.done():
        raise TimeLimit
    return work.result()


def unwrap(outcome: Outcome) -> Any:
    """Gives the result or raises the error."""
    result, error = outcome
    if isinstance(error, asyncio.CancelledError):
        raise RuntimeError from error  # somebody cancelled the work; it is not our own caller who left
    if error is not None:
        raise error
    return result


def _wake(waiter: asyncio.Future[None], _: object) -> None:
    if not waiter.done():
        waiter.set_result(None)


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

    Half the price per call of `ThreadPoolExecutor` with `wrap_future`, and a place in the queue is given
    back by the thread that ends the work, never by a client that goes away.
    """

    def __init__(self, threads: int, waiting: int) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._places = Gate(threads + waiting)
        self._threads = [Thread(target=self._work, name=f"rpc-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def start(self, function: Callable[..., Any], *args: object) -> asyncio.Future[Outcome]:
        """Queues a call, with the context of the caller. Raises `Overloaded` when the queue is full."""
        self._places.enter()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        context = copy_context()

        def run() -> None:
            outcome = _run(context, function, args)
            with suppress(RuntimeError):  # the loop was closed: nobody is left to tell
                loop.call_soon_threadsafe(self._finish, future, outcome)

        self._queue.put(run)
        return future

    async def close(self) -> None:
        """Refuses what comes and returns when everything that was queued has ended."""
        self._places.shut()
        await self._places.wait_empty()
        for _ in self._threads:
            self._queue.put(None)

    def _work(self) -> None:
        while (run := self._queue.get()) is not None:
            run()

    def _finish(self, future: asyncio.Future[Outcome], outcome: Outcome) -> None:
        self._places.leave()
        if not future.done():
            future.set_result(outcome)


def _run(context: Context, function: Callable[..., Any], args: tuple[object, ...]) -> Outcome:
    try:
        return context.run(function, *args), None
    except BaseException as error:
        return None, error
