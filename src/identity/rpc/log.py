"""The log: one JSON object per line for machines, colours for a person at a terminal.

Whatever the input, a line stays one line (LO-02), and no exception text is written: a driver puts bound
parameters there. An exception is told by its class and where it went through.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from json.encoder import encode_basestring_ascii as quote
from types import TracebackType
from typing import Any, Final, Protocol, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

from identity.rpc.caller import current_request_id, current_trace_id

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_NAMES: Final = {number: name for name, number in _LEVELS.items()}
_FRAMES: Final = 20
_CAUSES: Final = 5


class CallLog(Protocol):
    """Writes the line of one call. The values are ours or canonical: never bodies, tokens or metadata."""

    def __call__(
        self,
        method: str,
        code: str,
        reason: str,
        seconds: float,
        request_id: str,
        network: str | None,
        account: str | None,
        trace_id: str | None = None,
    ) -> None: ...


def configure(*, level: str = "info", json: bool | None = None, stream: TextIO | None = None) -> CallLog:
    """Sets up the log of the process, for structlog and for libraries, and gives the log of calls.

    `json` is decided by the stream (the standard error output) when absent: JSON unless it is a terminal.
    """
    out = sys.stderr if stream is None else stream
    as_json = not out.isatty() if json is None else json
    least = _LEVELS[level]
    shape: list[Processor] = [structlog.processors.JSONRenderer()]
    if not as_json:
        console = structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)
        shape = [_escape_unprintable, _spread_exception, console]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _name_call,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _name_exception,
            *shape,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Lossy(out))),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_LibraryHandler()]
    root.setLevel(max(least, logging.WARNING))
    threading.excepthook = _log_thread_death
    return _JsonCallLog(out, least) if as_json else log_call


def log_call(
    method: str,
    code: str,
    reason: str,
    seconds: float,
    request_id: str,
    network: str | None,
    account: str | None,
    trace_id: str | None = None,
) -> None:
    """Writes the line of a call through structlog."""
    fields: dict[str, Any] = {"method": method, "code": code, "duration_ms": round(seconds * 1000, 3)}
    optional = {"reason": reason, "request_id": request_id, "source": network, "account": account, "trace_id": trace_id}
    fields.update((key, value) for key, value in optional.items() if value)
    structlog.get_logger().log(_level(code), "call", **fields)


def describe(error: BaseException) -> list[dict[str, Any]]:
    """Tells an exception and its causes by class and stack, without a word of their messages."""
    return [
        {"type": type(link).__qualname__, "frames": [*_frames(link.__traceback__)][-_FRAMES:]}
        for link, _ in zip(_chain(error), range(_CAUSES), strict=False)
    ]


class _JsonCallLog:
    """The same line as `log_call` writes in JSON, at a tenth of the cost: it is on the path of every call."""

    def __init__(self, stream: TextIO, least: int) -> None:
        self._stream = stream
        self._least = least
        self._second = 0
        self._date = ""

    def __call__(
        self,
        method: str,
        code: str,
        reason: str,
        seconds: float,
        request_id: str,
        network: str | None,
        account: str | None,
        trace_id: str | None = None,
    ) -> None:
        level = _level(code)
        if level < self._least:
            return
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second, self._date = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        line = (
            f'{{"timestamp": "{self._date}.{int(now % 1 * 1000):03}Z", "level": "{_NAMES[level]}", "event": "call"'
            f', "method": {quote(method)}, "code": "{code}", "duration_ms": {seconds * 1000:.3f}'
            f', "request_id": {quote(request_id)}'
        )
        if reason:
            line += f', "reason": "{reason}"'
        if network:
            line += f', "source": {quote(network)}'
        if account:
            line += f', "account": {quote(account)}'
        if trace_id:
            line += f', "trace_id": "{trace_id}"'
        self._stream.write(line + "}\n")
        self._stream.flush()


class _Lossy:
    """A stream that loses what cannot be written, as beside a full disk or a broken pipe (F-14).

    An error would end the thread that had something to tell: the one that writes, or the one that mails.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


class _LibraryHandler(logging.Handler):
    """Takes what libraries log: the first line of the template, without the arguments, which hold anything.

    gRPC logs header values that are not UTF-8, SQLAlchemy bound parameters, asyncio the text of exceptions.
    """

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        template = record.msg.partition("\n")[0][:200] if isinstance(record.msg, str) else type(record.msg).__name__
        level = min(record.levelno, logging.ERROR) // 10 * 10
        structlog.get_logger().log(level, template, logger=record.name, exc_info=error)


def _level(code: str) -> int:
    if code == "INTERNAL":
        return logging.ERROR
    return logging.WARNING if code == "UNAVAILABLE" else logging.INFO


def _name_call(_: object, __: str, event: EventDict) -> EventDict:
    # Not through structlog's context variables: setting one would cost every call, and few of them log anything.
    if request_id := current_request_id():
        event.setdefault("request_id", request_id)
    if trace_id := current_trace_id():
        event.setdefault("trace_id", trace_id)
    return event


def _name_exception(_: object, __: str, event: EventDict) -> EventDict:
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["raised"] = describe(error)
    return event


def _spread_exception(_: object, __: str, event: EventDict) -> EventDict:
    if raised := event.pop("raised", None):
        event["exception"] = "\n".join(
            line for link in raised for line in (link["type"], *(f"    {frame}" for frame in link["frames"]))
        )
    return event


def _escape_unprintable(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # The console renderer would pass on what moves the cursor or starts a new line.
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
    return event


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _frames(traceback: TracebackType | None) -> Iterator[str]:
    while traceback is not None:
        frame = traceback.tb_frame
        yield f"{frame.f_globals.get('__name__', '?')}:{traceback.tb_lineno} {frame.f_code.co_name}"
        traceback = traceback.tb_next


def _log_thread_death(args: threading.ExceptHookArgs) -> None:
    structlog.get_logger().error("a thread ended with an error", exc_info=args.exc_value)
