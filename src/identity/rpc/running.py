"""Where a servicer method runs: on the event loop, in a thread, or in the hashing lane."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc.aio
from google.protobuf.message import Message

from identity.domain.callers import Caller
from identity.domain.errors import PermissionDenied, ServiceUnavailable
from identity.rpc.caller import Call
from identity.rpc.work import RETRY_SECONDS, Lane, Threads, Work, is_hashing, recall_of

Authorize = Callable[[Caller, str], None]
"""Raises `PermissionDenied` unless the caller's role grants `resource:action` in the active tenant.

Runs in a thread, right before the method, and may ask the database.
"""

Away = Callable[[], bool]
"""Says whether the database is known to be out of reach. Fast, without I/O."""

Context = grpc.aio.ServicerContext[Any, Any]
Start = Callable[[Call, Message, Context], Work]


def refuse(caller: Caller, permission: str) -> None:
    """Denies every administrator's call, as long as nobody says how permissions are known."""
    raise PermissionDenied(permission=permission)


class Runner:
    """Starts servicer methods. `lane` absent, methods that hash run in the threads like all others."""

    def __init__(
        self, threads: Threads, lane: Lane | None, authorize: Authorize, is_away: Away, seconds: float
    ) -> None:
        self._threads = threads
        self._lane = lane
        self._authorize = authorize
        self._is_away = is_away
        self._seconds = seconds

    def starter(self, method: Callable[..., Any]) -> Start:
        """Decides, once for a method, how it is started."""
        recall = recall_of(method)
        start = self._way_of(method)
        return start if recall is None else partial(self._start_unless_known, recall, start)

    def _way_of(self, method: Callable[..., Any]) -> Start:
        if inspect.iscoroutinefunction(method):
            return partial(self._start_async, method)
        if is_hashing(method) and self._lane is not None:
            return partial(self._start_in_lane, self._lane, method)
        return partial(self._start_in_thread, method)

    async def permit(self, call: Call) -> None:
        """Raises `PermissionDenied` unless the caller may; for methods that run on the event loop."""
        work = self._threads.start(self._permit, call)
        await work.wait(self._seconds)
        work.result()

    async def close(self) -> None:
        await self._threads.close()

    @staticmethod
    def _start_unless_known(
        recall: Callable[[Message], Any], start: Start, call: Call, request: Message, context: Context
    ) -> Work:
        known = None if call.access.needs_permission else recall(request)
        return start(call, request, context) if known is None else Work.ended(known)

    def _start_async(
        self, method: Callable[..., Awaitable[Any]], call: Call, request: Message, context: Context
    ) -> Work:
        call.begun = True
        if call.access.needs_permission:
            return Work.start(self._permit_and_await(method, call, request, context))
        return Work.start(method(request, context))

    async def _permit_and_await(
        self, method: Callable[..., Awaitable[Any]], call: Call, request: Message, context: Context
    ) -> Any:
        await self.permit(call)
        return await method(request, context)

    def _start_in_thread(self, method: Callable[..., Any], call: Call, request: Message, context: Context) -> Work:
        return self._threads.start(self._call, method, call, request, context)

    def _start_in_lane(
        self, lane: Lane, method: Callable[..., Any], call: Call, request: Message, context: Context
    ) -> Work:
        work = partial(self._call_in_lane, method, call, request, context)
        return Work.start(lane.run(call.network or "local", work))

    def _call_in_lane(self, method: Callable[..., Any], call: Call, request: Message, context: Context) -> Any:
        # Its threads are few: nobody in it waits to see whether the database is back, with the others behind (F-11).
        if self._is_away():
            raise ServiceUnavailable(retry_after=RETRY_SECONDS)
        return self._call(method, call, request, context)

    def _call(self, method: Callable[..., Any], call: Call, request: Message, context: Context) -> Any:
        """Runs in a thread: the method, unless everybody has left while it was queued."""
        if call.gone:
            return None
        call.begun = True
        if call.access.needs_permission:
            self._permit(call)
        return method(request, context)

    def _permit(self, call: Call) -> None:
        self._authorize(call.prove_caller(), call.access.permission)
