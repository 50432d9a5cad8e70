"""Closed-loop load: each worker sends its next call when it has the answer to the last."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter

from benchmarks.servers import Server

Call = Callable[[int], Awaitable[None]]
"""One call by one worker, who is told its number."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one arm did in one round. Latencies are in seconds."""

    calls: int
    seconds: float
    user_cpu: float
    system_cpu: float
    p50: float
    p99: float

    @property
    def cpu_per_call(self) -> float:
        """CPU seconds of the server for one call."""
        return (self.user_cpu + self.system_cpu) / self.calls

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds


async def measure(server: Server, call: Call, workers: int, seconds: float, warm_up: float) -> Sample:
    """Drive a server for `seconds`, after a warm-up that does not count."""
    if warm_up:
        await _drive(call, workers, warm_up)
    cpu, begun = server.cpu, perf_counter()
    latencies = sorted(await _drive(call, workers, seconds))
    elapsed, used = perf_counter() - begun, server.cpu.since(cpu)
    count = len(latencies)
    return Sample(count, elapsed, used.user, used.system, latencies[count // 2], latencies[count * 99 // 100])


async def _drive(call: Call, workers: int, seconds: float) -> list[float]:
    latencies: list[float] = []
    end = perf_counter() + seconds

    async def work(number: int) -> None:
        begun = perf_counter()
        while begun < end:
            await call(number)
            done = perf_counter()
            latencies.append(done - begun)
            begun = done

    await asyncio.gather(*(work(number) for number in range(workers)))
    return latencies
