"""`identity serve --workers N`: several services under one parent, which ends with them.

Each listens on a port of its own: the first where the settings say, the others on the ports behind it. Clients keep one
connection, so that of several processes on one port all but one would idle (docs/decisions/0014-workers.md).
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from typing import cast

import typer

from identity.cli import serve
from identity.cli.output import OUTSIDE, err, plain_errors
from identity.settings import Settings, SettingsInvalid

_ADDRESSES = ("grpc_address", "rest_address", "metrics_address")


def run(settings: Settings, count: int) -> None:
    """Serve until a signal comes, or until a worker ends by itself, which ends the others."""
    if settings.is_embedded:
        raise SettingsInvalid(
            "Several workers need PostgreSQL: one process writes to an embedded database. Set IDENTITY_DATABASE_URL."
        )
    # Everything is imported and nothing has started, no thread above all: workers share the memory of the code.
    processes = multiprocessing.get_context("fork")
    workers = [
        processes.Process(target=_work, args=(settings_of(settings, number, count), number))
        for number in range(1, count + 1)
    ]
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        for worker in workers:
            if worker.is_alive():
                worker.terminate()

    for worker in workers:
        worker.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    first = None
    alive = {worker.sentinel: worker for worker in workers}
    while alive:
        for sentinel in wait(list(alive)):
            ended = alive.pop(cast(int, sentinel))
            ended.join()
            if not stopping:
                first = ended
                err.print(f"Worker {workers.index(first) + 1} ended by itself, so that the others stop too.")
                stop()
    raise typer.Exit(max(map(_code, workers)) if first is None else _code(first) or OUTSIDE)


def settings_of(settings: Settings, number: int, count: int) -> Settings:
    """What one worker of `count`, from 1 on, is told: addresses of its own, and its share of the cores."""
    addresses = {name: _behind(getattr(settings, name), number - 1) for name in _ADDRESSES}
    given = "hashing_threads" in settings.model_fields_set
    share = settings.hashing_threads if given else max(1, settings.hashing_threads // count)
    return settings.model_copy(update={**addresses, "hashing_threads": share})


def _behind(address: str, steps: int) -> str:
    """The address that many places further on: the next port, or a socket with a number behind its name."""
    if not address or not steps:
        return address
    if address.startswith("unix:"):
        return f"{address}.{steps}"
    host, _, port = address.rpartition(":")
    if int(port) == 0:
        return address
    if int(port) + steps >= 1 << 16:
        raise SettingsInvalid(f"There are not enough ports behind {address} for so many workers.")
    return f"{host}:{int(port) + steps}"


def _work(settings: Settings, number: int) -> None:
    """What runs in a worker."""
    try:
        with plain_errors():
            serve.run(settings, worker=number)
    except typer.Exit as end:
        sys.exit(end.exit_code)


def _code(worker: ForkProcess) -> int:
    """The exit code as a shell tells it: a signal is 128 and its number."""
    code = worker.exitcode or 0
    return 128 - code if code < 0 else code
