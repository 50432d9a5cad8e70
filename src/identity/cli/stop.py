"""Signals: how a process in the foreground is asked to end."""

from __future__ import annotations

import asyncio
import os
import time

ECHO = 0.5
"""Seconds within which a signal is the one before: a supervisor may send it to the process and to its group."""


class Stop:
    """The first signal asks for an orderly end, the second forces it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._at = 0.0

    def leave(self, loop: asyncio.AbstractEventLoop, gone: int) -> None:
        """Note that the parent is gone, whose sentinel this is: nobody else would end this process."""
        loop.remove_reader(gone)
        self.asked.set()

    def ask(self, number: int) -> None:
        """Note a signal; the second one ends the process at once."""
        now = time.monotonic()
        if not self.asked.is_set():
            self._at = now
            self.asked.set()
        elif now - self._at > ECHO:
            # What was acknowledged is on disk; the rest has had its time.
            os._exit(128 + number)
