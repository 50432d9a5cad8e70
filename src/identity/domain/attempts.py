"""Attempts at one password that meet each other in this process.

Every attempt is charged before the password is looked at, so several right ones at the same time look like
failures to each other until the first has succeeded. Whoever is refused while others are undecided therefore waits for
them, and tries again if one succeeds (N-04). Wrong guesses gain nothing: without a success no attempt is given back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, Lock

_PATIENCE_SECONDS = 5.0


class Attempts:
    """The bouts that are going on, by the name that is asked for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._bouts: dict[str, Bout] = {}

    @contextmanager
    def join(self, name: str) -> Iterator[Bout]:
        """The bout of this name, which lasts until everybody has left it."""
        with self._lock:
            bout = self._bouts.setdefault(name, Bout())
            bout.members += 1
        try:
            yield bout
        finally:
            with self._lock:
                bout.members -= 1
                if not bout.members:
                    del self._bouts[name]


class Bout:
    """The attempts at one password that overlap."""

    def __init__(self) -> None:
        self.members = 0
        self._changed = Condition()
        self._undecided = 0
        self._successes = 0

    @property
    def successes(self) -> int:
        """How many attempts have succeeded."""
        return self._successes

    @contextmanager
    def undecided(self) -> Iterator[None]:
        """The time in which an attempt is charged, or about to be, and may still succeed."""
        with self._changed:
            self._undecided += 1
        try:
            yield
        finally:
            with self._changed:
                self._undecided -= 1
                self._changed.notify_all()

    def succeed(self) -> None:
        """An attempt has succeeded, and the budget is given back."""
        with self._changed:
            self._successes += 1
            self._changed.notify_all()

    def await_success(self, seen: int) -> bool:
        """Whether an attempt succeeds beyond the `seen` ones; False once nothing is undecided."""
        with self._changed:
            self._changed.wait_for(lambda: self._successes != seen or not self._undecided, _PATIENCE_SECONDS)
            return self._successes != seen
