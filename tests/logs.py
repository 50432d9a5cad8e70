"""The log of the process, as a test reads it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import structlog

from identity.rpc.log import configure


@contextmanager
def captured_log(stream: StringIO | None = None) -> Iterator[tuple[Any, StringIO]]:
    """The log of calls, and where everything is written, down to its details; afterwards everything is as before."""
    root, before, hook = logging.getLogger(), structlog.get_config(), threading.excepthook
    handlers, level = root.handlers[:], root.level
    stream = stream or StringIO()
    try:
        yield configure(level="debug", json=True, stream=stream), stream
    finally:
        structlog.configure(**before)
        root.handlers[:], threading.excepthook = handlers, hook
        root.setLevel(level)


def lines(log: StringIO, **fields: object) -> list[dict[str, Any]]:
    """What was written so far with these values."""
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    return [line for line in told if fields.items() <= line.items()]
