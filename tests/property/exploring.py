"""How properties are explored: hypothesis in a thread of its own, services and clients on the loop of the tests.

Every commit tries the same few examples, a long run (`tests/effort.py`) fifty times as many others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from tests.effort import FIXED_SEED, LONG, effort
from tests.running import outcome

T = TypeVar("T")

TIMES = 50
"""How many times as much a long run does."""

_PATIENCE = 60
_log = logging.getLogger(__name__)


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
        max_examples=effort(examples, examples * TIMES),
        database=None,
        deadline=None,
        # To shrink a failure takes minutes; a long run has them.
        phases=(Phase.explicit, Phase.generate, *((Phase.shrink,) if LONG else ())),
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def _seeded(holds: Any, salt: str) -> Any:
    _log.warning("IDENTITY_TEST_SEED=%d", FIXED_SEED)  # pytest shows it with a failure
    return seed(f"{FIXED_SEED}{salt}")(holds)
