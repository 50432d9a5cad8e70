"""The one interceptor around every call: admit, parse, authenticate, validate, run, map errors, observe.

Each handler is wrapped once, so that what depends on the method is decided then and not per call. The order
of the steps is a security property; the tests of this module hold it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from secrets import token_hex
from time import perf_counter
from typing import Any, Final, NoReturn, TypeVar

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message

from identity.domain.errors import DomainError, ServiceUnavailable
from identity.rpc.access import EXEMPT, AccessPolicy, MethodAccess, is_unimplemented
from identity.rpc.arrivals import REQUEST_ID, Arrivals, note_metadata
from identity.rpc.caller import Authenticate, AuthenticateService, Call, CallSpan, Proofs, enter
from identity.rpc.errors import CODES, Answer, InternalError, to_answer
from identity.rpc.exempt import wrap_exempt
from identity.rpc.log import CallLog, describe, log_call
from identity.rpc.requests import parse, validate
from identity.rpc.running import Authorize, Away, Runner, refuse
from identity.rpc.source import SourceReader
from identity.rpc.work import RETRY_SECONDS, Gate, Lane, Threads, TimeLimit, Work, is_hashing

T = TypeVar("T")

Observe = Callable[[str, str, str, float], None]
"""Takes the method, the names of the status code and the reason, and the seconds of a call: closed sets (LO-02)."""

Trace = Callable[[str, str | None], CallSpan]
"""Begins the span of a call, by its method and the `traceparent` that it came with, which nobody has looked at."""

Context = grpc.aio.ServicerContext[Any, Any]
Run = Callable[[Call, bytes, Context], Awaitable[T]]

_TIME_LIMIT: Final = "The time limit of the server was reached."


class _Stream:
    """A stream in progress, as far as it takes to end it."""

    __slots__ = ("_task", "is_writing")

    def __init__(self, task: asyncio.Task[Any] | None) -> None:
        self._task = task
        self.is_writing = False

    def end(self) -> None:
        """Wakes a stream that waits for something to say.

        One that is writing ends by itself afterwards; cancelled there, it could not send a status any more.
        """
        if self._task is not None and not self.is_writing:
            self._task.cancel()


class Pipeline(grpc.aio.ServerInterceptor):
    """See the module. What it needs comes in as arguments; it owns the threads of synchronous methods."""

    def __init__(
        self,
        *,
        policy: AccessPolicy,
        authenticate: Authenticate,
        authenticate_service: AuthenticateService | None = None,
        authorize: Authorize = refuse,
        restricted: frozenset[str] = frozenset(),
        sources: SourceReader,
        lane: Lane | None = None,
        is_away: Away = lambda: False,
        threads: int = 8,
        waiting: int = 64,
        in_flight: int = 512,
        streams: int = 256,
        deadline: float = 10.0,
        deadlines: Mapping[str, float] | None = None,
        log: CallLog = log_call,
        observe: Observe | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Bounds: `in_flight` unary calls that hash and as many others, of which `threads` run and `waiting` wait
        for one; `streams`.

        `restricted` lists the paths that a session with a scope may call; `deadlines` the seconds of methods
        whose limit is not `deadline`.
        """
        self._policy = policy
        self._proofs = Proofs(authenticate, authenticate_service, restricted)
        self._arrivals = Arrivals(sources)
        self._runner = Runner(Threads(threads, waiting), lane, authorize, is_away, deadline)
        self._calls = Gate(in_flight)
        self._hashing = Gate(in_flight)  # of their own: sign-ins that wait for a hash keep nobody else out (AV-01)
        self._streams = Gate(streams)
        self._gates = (self._calls, self._hashing, self._streams)
        self._open_streams: set[_Stream] = set()
        self._forsaken: set[Work] = set()
        self._deadline = deadline
        self._deadlines = dict(deadlines or {})
        self._log = log
        self._observe = observe
        self._trace = trace
        self._wrapped: dict[str, Any] = {}

    # The life of the service.

    @property
    def in_flight(self) -> int:
        """Counts what is in progress, work whose client has left included."""
        return sum(gate.inside for gate in self._gates)

    def drain(self) -> None:
        """Refuses what comes and ends the streams, whose clients go on elsewhere; calls finish."""
        for gate in self._gates:
            gate.shut()
        for stream in self._open_streams:
            stream.end()

    async def close(self) -> None:
        """Returns when the last call has ended, and its work too. Stop the server first or meanwhile."""
        self.drain()
        for gate in self._gates:
            await gate.wait_empty()
        await self._runner.close()

    # Wrapping, once for each method.

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        try:
            handler = self._wrapped[method]
        except KeyError:
            found = await continuation(handler_call_details)
            if found is None:
                return None  # not remembered: whoever calls chooses the name
            handler = self._wrapped[method] = self._wrap(method, found)
        note_metadata(handler_call_details.invocation_metadata)
        return handler

    def _wrap(self, method: str, handler: Any) -> Any:
        """Gives the handler to use; None answers UNIMPLEMENTED, before anything is decided about the caller."""
        if method in EXEMPT:
            return wrap_exempt(handler)
        access = self._policy.find(method)
        if access is None or handler.request_streaming:
            structlog.get_logger().error("a method that nobody gave an access is not served", method=method)
            return None
        if is_unimplemented(handler.unary_stream or handler.unary_unary):
            return None
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(access, handler), response_serializer=handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(self._unary(access, handler))

    def _unary(self, access: MethodAccess, handler: Any) -> Callable[[bytes, Context], Awaitable[bytes]]:
        from_bytes, to_bytes = handler.request_deserializer, handler.response_serializer
        start = self._runner.starter(handler.unary_unary)
        seconds = self._deadlines.get(access.method, self._deadline)
        gate = self._hashing if is_hashing(handler.unary_unary) else self._calls

        async def run(call: Call, raw: bytes, context: Context) -> bytes:
            gate.enter()
            try:
                work = start(call, self._receive(call, raw, from_bytes), context)
            except BaseException:
                gate.leave()
                raise
            try:
                await work.wait(seconds)
            except BaseException:
                self._forsake(call, work, gate)
                raise
            gate.leave()
            reply: bytes = to_bytes(work.result())
            return reply

        return partial(self._conduct, access, run)

    def _stream(self, access: MethodAccess, handler: Any) -> Callable[[bytes, Context], Awaitable[None]]:
        from_bytes, method = handler.request_deserializer, handler.unary_stream

        async def run(call: Call, raw: bytes, context: Context) -> None:
            self._streams.enter()
            stream = _Stream(asyncio.current_task())
            self._open_streams.add(stream)
            try:
                request = self._receive(call, raw, from_bytes)
                if access.needs_permission:
                    await self._runner.permit(call)
                async with aclosing(method(request, context)) as replies:
                    async for reply in replies:
                        call.prove()  # who has lost the right since is told nothing more
                        stream.is_writing = True
                        await context.write(reply)
                        stream.is_writing = False
                        if self._streams.is_shut:
                            raise ServiceUnavailable(retry_after=RETRY_SECONDS)
            except asyncio.CancelledError:
                if self._streams.is_shut:
                    raise ServiceUnavailable(retry_after=RETRY_SECONDS) from None
                raise
            finally:
                self._open_streams.discard(stream)
                self._streams.leave()

        return partial(self._conduct, access, run)

    async def _conduct(self, access: MethodAccess, run: Run[T], raw: bytes, context: Context) -> T:
        """Does what surrounds every call, whatever becomes of it."""
        begun = perf_counter()
        call = Call(access, self._proofs)
        enter(call)
        try:
            self._arrivals.identify(call, context)
            if self._trace is not None:
                call.span = self._trace(access.method, call.traceparent)
            reply = await run(call, raw, context)
        except BaseException as error:
            if _has_left(error):
                self._report(call, "CANCELLED", "", begun)
                raise
            await self._fail(call, error, context, begun)
        context.set_trailing_metadata(((REQUEST_ID, call.request_id),))
        self._report(call, "OK", "", begun)
        return reply

    # The steps of one call.

    def _receive(self, call: Call, raw: bytes, from_bytes: Callable[[bytes], Message]) -> Message:
        request = parse(raw, from_bytes)
        call.prove()
        validate(request, len(raw))
        return request

    def _forsake(self, call: Call, work: Work, gate: Gate) -> None:
        """Leaves work that goes on without anybody waiting; its place is given back when it ends."""
        call.gone = True
        self._forsaken.add(work)

        def end() -> None:
            self._forsaken.discard(work)
            gate.leave()
            error = work.error
            if error is not None and not isinstance(error, (DomainError, asyncio.CancelledError)):
                self._log_unknown(call, error)

        work.at_end(end)
        if not call.begun:
            work.give_up()  # leaves the queue of the hashing lane; a thread of ours skips it by itself

    async def _fail(self, call: Call, error: BaseException, context: Context, begun: float) -> NoReturn:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if isinstance(error, TimeLimit):
            self._report(call, "DEADLINE_EXCEEDED", "", begun)
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, _TIME_LIMIT, ((REQUEST_ID, call.request_id),))
        answer = self._answer(call, error)
        self._report(call, answer.code.name, answer.reason, begun)
        trailing = (*answer.trailing_metadata, (REQUEST_ID, call.request_id))
        await context.abort(answer.code, answer.message, trailing)

    def _answer(self, call: Call, error: BaseException) -> Answer:
        if isinstance(error, DomainError) and error.reason in CODES:
            try:
                return to_answer(error)
            except (TypeError, ValueError) as mistake:  # something in it that a message cannot hold
                error = mistake
        return to_answer(InternalError(self._log_unknown(call, error)))

    # An error raised below would reach the client as it is, so that a log that cannot be written is left unwritten.

    def _log_unknown(self, call: Call, error: BaseException) -> str:
        ref, method = token_hex(8), call.access.method
        with suppress(Exception):
            structlog.get_logger().error(
                "call failed", method=method, ref=ref, request_id=call.request_id, raised=describe(error)
            )
        return ref

    def _report(self, call: Call, code: str, reason: str, begun: float) -> None:
        seconds = perf_counter() - begun
        account = None if call.caller is None else str(call.caller.account_id)
        try:
            trace_id = None
            if call.span is not None:
                trace_id = call.span.trace_id
                call.span.end(code, reason)
            self._log(call.access.method, code, reason, seconds, call.request_id, call.network, account, trace_id)
            if self._observe is not None:
                self._observe(call.access.method, code, reason, seconds)
        except Exception:  # noqa: S110  (cheaper here than `suppress`)
            pass


def _has_left(error: BaseException) -> bool:
    """Says whether the client went away or its deadline passed, so that there is nobody to answer.

    gRPC then cancels our task, or fails to write; a cancellation that a method raised by itself is its own fault.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, grpc.aio.InternalError)
