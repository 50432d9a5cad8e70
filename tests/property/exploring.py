"""How properties are explored: hypothesis in a thread of its own, services and clients on the loop of the tests.

Every commit tries the same few examples. IDENTITY_TEST_LONG=1 tries fifty times as many, drawn from a seed that a
failure shows; IDENTITY_TEST_SEED repeats that run.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from random import SystemRandom
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from tests.running import outcome

T = TypeVar("T")

LONG = os.environ.get("IDENTITY_TEST_LONG") == "1"
SEED = int(os.environ.get("IDENTITY_TEST_SEED", "0")) or (SystemRandom().randrange(1, 10**9) if LONG else 1)
TIMES = 50
"""How many times as much a long run does."""

_PATIENCE = 60
_log = logging.getLogger(__name__)


def effort(short: int) -> int:
    """How often to try what every commit tries `short` times."""
    return short * TIMES if LONG else short


class Bridge:
    """From the thread in which hypothesis runs to the loop, where calls are made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def call(self, method: Callable[..., Awaitable[T]], *arguments: Any, **options: Any) -> T:
        """What a call gives; what it raises comes out here."""

        async def run() -> T:
            return await method(*arguments, **options)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_PATIENCE)

    def ask(self, method: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
        """What came of a call: its answer, or a Refusal."""

        async def run() -> Any:
            return await outcome(method(*arguments, **options))

        return self.call(run)


async def explore(holds: Callable[..., object], examples: int, *, salt: str = "") -> None:
    """Run a property that `given` has made, in a thread that may call the loop; another `salt`, other examples."""
    await asyncio.to_thread(_seeded(_settings(examples)(holds), salt))


async def explore_states(
    machine: Callable[[], RuleBasedStateMachine], examples: int, steps: int, *, salt: str = ""
) -> None:
    """The same for a state machine."""

    def make() -> RuleBasedStateMachine:
        return machine()

    chosen = settings(_settings(examples), stateful_step_count=steps)
    await asyncio.to_thread(run_state_machine_as_test, _seeded(make, salt), settings=chosen)


def _settings(examples: int) -> settings:
    return settings(
        max_examples=effort(examples),
        database=None,
        deadline=None,
        # To shrink a failure takes minutes; a long run has them.
        phases=(Phase.explicit, Phase.generate, *((Phase.shrink,) if LONG else ())),
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def _seeded(holds: Any, salt: str) -> Any:
    _log.warning("IDENTITY_TEST_SEED=%d", SEED)  # pytest shows it with a failure
    return seed(f"{SEED}{salt}")(holds)
