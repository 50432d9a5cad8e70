"""F-02: what was acknowledged is there after any crash, and what was not is not there by half."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from functools import partial

import pytest
from tests.postgres import Cluster
from tests.store.children import child, write_until_killed
from tests.store.counters import CounterUnit, create_counters, value_of

from identity.store.database import open_database


def check_nothing_lost(url: str, acknowledged: int) -> None:
    database = open_database(url, CounterUnit)
    a, b = value_of(database, "a"), value_of(database, "b")
    database.close()
    assert a is not None
    assert a >= acknowledged
    assert a == b
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def add_both(url: str) -> None:
    database = open_database(url, CounterUnit)
    for name in "ab":
        database.write(partial(CounterUnit.add, name=name))
    database.close()


@pytest.mark.parametrize("threads", [1, 8])
def test_F02_kill_9_of_the_service_loses_nothing_acknowledged(counter_url: str, threads: int) -> None:
    add_both(counter_url)
    chance = random.Random(threads)
    for _ in range(10):
        with child(write_until_killed, counter_url, threads) as (process, pipe):
            acknowledged = [pipe.recv() for _ in range(chance.randrange(1, 60))]
            process.kill()
            process.join()
            while pipe.poll():
                try:
                    acknowledged.append(pipe.recv())
                except EOFError:
                    break
        check_nothing_lost(counter_url, max(acknowledged))


def test_F02_kill_9_of_postgresql_loses_nothing_acknowledged() -> None:
    with closing(Cluster()) as cluster:
        url = cluster.create()
        create_counters(url)
        add_both(url)
        for acks in (1, 17, 60):
            with child(write_until_killed, url, 8) as (_, pipe):
                acknowledged = [pipe.recv() for _ in range(acks)]
                cluster.stop()
                cluster.start()
                acknowledged += [pipe.recv() for _ in range(acks)]
            check_nothing_lost(url, max(acknowledged))
