"""Threads that read and write without pause, and a record of how each call went."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from tests.store.counters import CounterUnit

from identity.store.database import Database


@dataclass(frozen=True, slots=True)
class Call:
    thread: int
    started: float
    ended: float
    error: Exception | None
    value: int | None

    @property
    def seconds(self) -> float:
        return self.ended - self.started


class Load:
    """Half of the threads bump the counter `a`, the other half read it."""

    def __init__(self, database: Database[CounterUnit], threads: int = 8) -> None:
        self._database = database
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]
        self.calls: list[Call] = []

    def __enter__(self) -> Load:
        self._database.write(lambda tx: tx.add("a"))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_each_thread(self, since: float, condition: Callable[[Call], bool]) -> None:
        """Until each thread has made a call of the kind that began after `since`."""

        def reached() -> bool:
            threads = {call.thread for call in self.calls if call.started >= since and condition(call)}
            return len(threads) == len(self._threads)

        with self._changed:
            assert self._changed.wait_for(reached, timeout=30)

    def _run(self, number: int) -> None:
        call = self._database.write if number % 2 else self._database.read
        fn = (lambda tx: tx.bump("a")) if number % 2 else (lambda tx: tx.get("a"))
        # A breath between calls: the test is about waiting, not about speed.
        while not self._stop.wait(0.01):
            started, error, value = monotonic(), None, None
            try:
                value = call(fn)
            except Exception as raised:
                error = raised
            with self._changed:
                self.calls.append(Call(number, started, monotonic(), error, value))
                self._changed.notify_all()
