"""Processes of their own for tests: to be killed, to run out of disk, or to be a second user of a file."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.forks import FORKS
from tests.store.counters import CounterUnit

from identity.domain.errors import ServiceUnavailable
from identity.store import migrate
from identity.store.database import open_database


@contextmanager
def child(main: Callable[..., None], *arguments: object) -> Iterator[tuple[BaseProcess, Connection]]:
    """A process that runs `main(pipe, *arguments)`, and the other end of its pipe."""
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=main, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        yield process, ours
    finally:
        process.kill()
        process.join()
        process.close()
        ours.close()


def write_until_killed(pipe: Connection, url: str, threads: int) -> None:
    """Bump two counters in one unit, again and again, and report each value that was acknowledged."""
    database = open_database(url, CounterUnit)
    sending = threading.Lock()

    def unit(tx: CounterUnit) -> int:
        value = tx.bump("a")
        tx.bump("b")
        return value

    def work() -> None:
        while True:
            with suppress(ServiceUnavailable):
                value = database.write(unit)
                with sending:
                    pipe.send(value)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def bump_often(pipe: Connection, url: str, threads: int, times: int) -> None:
    """Wait for the word, bump a counter `threads * times` times, and report."""
    database = open_database(url, CounterUnit)
    pipe.send("ready")
    pipe.recv()

    def work() -> None:
        for _ in range(times):
            database.write(lambda tx: tx.bump("a"))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    database.close()
    pipe.send("done")


def upgrade_at_a_word(pipe: Connection, url: str) -> None:
    """Wait for the word, bring the schema up to date, and report the steps taken."""
    pipe.send("ready")
    pipe.recv()
    pipe.send(migrate.upgrade(url))


def fill_the_disk(pipe: Connection, url: str, journal: Path) -> None:
    """Write until no file may grow any more, try on, and report; then go on with room again."""
    database = open_database(url, CounterUnit)

    def attempt(number: int) -> bool:
        try:
            database.write(partial(CounterUnit.add, name=f"{number:060}"))
        except ServiceUnavailable:
            return False
        return True

    kept = [number for number in range(10) if attempt(number)]
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (journal.stat().st_size + 50_000, unlimited[1]))
    full = range(10, 200)
    kept += [number for number in full if attempt(number)]
    still_readable = all(database.read(partial(CounterUnit.get, name=f"{number:060}")) == 0 for number in kept)
    lost = len(full) + 10 - len(kept)
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    kept += [number for number in range(200, 210) if attempt(number)]
    database.close()
    pipe.send((kept, lost, still_readable))
