"""`python -m benchmarks`: one run, all figures. `--quick` only shows that it works."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop
from rich.console import Console

from benchmarks.arms import ECHO, ENGINES, Arm, echo_arm, hash_alone, login_arm, session_arms
from benchmarks.doors import CONTAINER, ENVOY, door_arms, envoy, free_port, wait_until_healthy
from benchmarks.http import Connections
from benchmarks.load import measure
from benchmarks.report import Results, Row, dump, show
from benchmarks.servers import Order, Server, postgresql, started

BEHIND = "SQLite"
"""What is behind the doors that are compared."""
CONCURRENCIES = (1, 16)
LOGIN_WORKERS = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: `rounds` of `seconds` for each arm, sign-ins for longer because they are few."""

    rounds: int = 5
    seconds: float = 0.8
    warm_up: float = 0.15
    login_seconds: float = 1.6
    bcrypt_cost: int = 11


QUICK = Plan(rounds=1, seconds=0.05, warm_up=0, login_seconds=0.05, bcrypt_cost=4)


async def run(plan: Plan, servers: dict[str, Server], doors: dict[str, Any], console: Console) -> Results:
    """Measure every arm in every round, so that what the machine does meanwhile meets them all."""
    async with AsyncExitStack() as stack:
        channels = {
            name: await stack.enter_async_context(grpc.aio.insecure_channel(server.address))
            for name, server in servers.items()
        }
        arms: list[Arm] = [echo_arm(servers[ECHO], channels[ECHO])]
        logins: list[Arm] = []
        for engine in ENGINES:
            arms += await session_arms(engine, servers[engine], channels[engine], max(CONCURRENCIES))
            logins.append(login_arm(engine, servers[engine], channels[engine]))
        for door, server in doors.items():
            connections = Connections(server.address)
            stack.callback(connections.close)
            arms += await door_arms(door, server, channels[BEHIND], max(CONCURRENCIES), connections)
        rows = {(arm, workers): Row(arm.name, arm.engine, workers) for arm in arms for workers in CONCURRENCIES}
        login_rows = [Row(arm.name, arm.engine, LOGIN_WORKERS) for arm in logins]
        hashing = Row("bcrypt alone", "", 1)
        for number in range(plan.rounds):
            console.print(f"round {number + 1} of {plan.rounds}", style="dim")
            for (arm, workers), row in rows.items():
                row.samples.append(await measure(arm.server, arm.call, workers, plan.seconds, plan.warm_up))
            hashing.samples.append(await hash_alone(plan.bcrypt_cost, plan.login_seconds))
            for arm, row in zip(logins, login_rows, strict=True):
                row.samples.append(await measure(arm.server, arm.call, LOGIN_WORKERS, plan.login_seconds, plan.warm_up))
    echoes = {row.workers: row for row in rows.values() if row.name == ECHO}
    calls = [row for row in rows.values() if row.engine in ENGINES]
    through = [row for row in rows.values() if row.engine in doors]
    return Results(echoes, calls, through, login_rows, hashing, plan.bcrypt_cost)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a second or two, to see that everything works")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there as well")
    given = parser.parse_args(arguments)
    plan = QUICK if given.quick else Plan()
    console = Console(width=None if sys.stdout.isatty() else 120)
    progress = Console(stderr=True)
    # Within a system's own directory for such things, so that nothing is left behind.
    with (
        tempfile.TemporaryDirectory(prefix="identity-bench-", ignore_cleanup_errors=True) as root,
        ExitStack() as stack,
    ):
        directory = Path(root)
        directory.chmod(0o755)  # PostgreSQL may run as a user of its own
        url = stack.enter_context(postgresql(directory / "postgresql"))
        urls = {ECHO: "", "SQLite": f"sqlite:///{directory}/identity.db", "PostgreSQL": url}
        orders = {
            name: Order(str(directory / name), url, "", plan.bcrypt_cost, max(CONCURRENCIES))
            for name, url in urls.items()
        }
        servers = stack.enter_context(started(orders))
        upstream = servers[BEHIND].address
        container = stack.enter_context(started({CONTAINER: Order(str(directory / CONTAINER), upstream=upstream)}))
        doors: dict[str, Any] = dict(container)
        if edge := stack.enter_context(envoy(directory / ENVOY, upstream, free_port())):
            wait_until_healthy(edge.address)
            doors[ENVOY] = edge
        results = uvloop.run(run(plan, servers, doors, progress))
    show(results, console)
    if given.json:
        given.json.write_text(dump(results))


if __name__ == "__main__":
    main()
