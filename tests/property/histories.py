"""Histories of calls that overlapped, and the search for an order in which one after another would have answered so.

Linearizability by Wing and Gong's search: of the calls that nothing has to precede, take one whose answer the model
would give here, and go on; where that leads nowhere, go back. A call whose answer never arrived may have happened or
not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from math import inf
from typing import Generic, Protocol, TypeVar

S = TypeVar("S")

LOST = object()
"""The answer of a call that its client has given up."""


class Step(Protocol[S]):
    """What a call asks for."""

    def follow(self, state: S, answer: object) -> S | None:
        """The state after this call was answered so; None where the rules give another answer. Also for LOST."""


@dataclass
class Event(Generic[S]):
    """A call between two moments of the logical clock; while it runs, it ends never."""

    step: Step[S]
    begun: int
    ended: float = inf
    answer: object = LOST

    def __repr__(self) -> str:
        return f"[{self.begun}, {self.ended}] {self.step} -> {'lost' if self.answer is LOST else self.answer!r}"


@dataclass
class History(Generic[S]):
    """Calls in the order in which they began."""

    events: list[Event[S]] = field(default_factory=list)
    _moments: count[int] = field(default_factory=count)

    def begin(self, step: Step[S]) -> Event[S]:
        event = Event(step, next(self._moments))
        self.events.append(event)
        return event

    def end(self, event: Event[S], answer: object) -> None:
        """An answer has arrived; of LOST ones nobody knows when they happen, if ever."""
        if answer is not LOST:
            event.answer, event.ended = answer, next(self._moments)


def explains(events: Sequence[Event[S]], state: S) -> bool:
    """Whether some order of these calls, from this state on, gives their answers."""
    seen: set[tuple[frozenset[int], S]] = set()
    waiting = [(frozenset(range(len(events))), state)]
    while waiting:
        left, state = waiting.pop()
        if (left, state) in seen:
            continue
        seen.add((left, state))
        if all(events[each].answer is LOST for each in left):
            return True
        first = min(events[each].ended for each in left)
        # What began earliest is tried first: that is how it mostly was.
        for each in sorted(left, reverse=True):
            event = events[each]
            if event.begun <= first and (after := event.step.follow(state, event.answer)) is not None:
                waiting.append((left - {each}, after))
    return False
