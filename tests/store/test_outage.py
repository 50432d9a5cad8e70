"""F-11, AV-02: what callers notice of a PostgreSQL that goes away, and how soon all is well again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from time import monotonic

import pytest
from tests.postgres import Cluster
from tests.relay import Relay
from tests.store.counters import CounterUnit, counter_table, value_of
from tests.store.load import Load

from identity.domain.errors import ServiceUnavailable
from identity.store.database import Database, open_database

ANSWER_SECONDS = 3.0
RETURN_SECONDS = 2.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server to do anything to."""
    with closing(Cluster()) as cluster:
        yield cluster


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    url = cluster.create()
    with counter_table(url):
        yield url


@pytest.fixture
def relay(cluster: Cluster) -> Iterator[Relay]:
    with Relay(cluster.socket) as relay:
        yield relay


def check_outage(database: Database[CounterUnit], begin: Callable[[], None], end: Callable[[], None]) -> None:
    with Load(database) as load:
        load.wait_for_each_thread(0, lambda call: call.error is None)
        begin()
        began = monotonic()
        # The second failure of each thread is one that began in the middle of the outage.
        load.wait_for_each_thread(began, lambda call: call.error is not None)
        known = monotonic()
        load.wait_for_each_thread(known, lambda call: call.error is not None)
        end()
        ended = monotonic()
        load.wait_for_each_thread(ended + RETURN_SECONDS, lambda call: True)

    assert max(call.seconds for call in load.calls) <= ANSWER_SECONDS
    failed = [call for call in load.calls if call.error is not None]
    assert {type(call.error) for call in failed} == {ServiceUnavailable}
    assert max(call.started for call in failed) <= ended + RETURN_SECONDS
    # Once the outage is known, its news is what callers get, not a wait of their own: threads are scarce.
    informed = [call for call in failed if known <= call.started and call.ended <= ended]
    assert sum(call.seconds < 0.1 for call in informed) >= len(informed) / 2
    check_answers(database, load)


def check_answers(database: Database[CounterUnit], load: Load) -> None:
    """Every answer was true, and only what was under way when the server went is in doubt."""
    bumped = [call.value for call in load.calls if call.thread % 2 and call.value is not None]
    value = value_of(database, "a")
    assert value is not None
    assert len(set(bumped)) == len(bumped)
    assert max(bumped) <= value
    assert len(bumped) <= value <= len(bumped) + 4


def test_F11_a_server_that_is_stopped(cluster: Cluster, url: str) -> None:
    database = open_database(url, CounterUnit)
    check_outage(database, cluster.stop, cluster.start)
    database.close()


def test_F11_a_server_that_hangs(cluster: Cluster, url: str) -> None:
    database = open_database(url, CounterUnit)
    check_outage(database, cluster.freeze, cluster.thaw)
    database.close()


def test_F11_a_network_that_swallows(relay: Relay, url: str) -> None:
    database = open_database(relay.url(url), CounterUnit)
    check_outage(database, relay.swallow, relay.deliver)
    database.close()


def test_a_first_call_to_a_server_that_is_away_fails_at_once(relay: Relay, url: str) -> None:
    database = open_database(relay.url(url), CounterUnit)
    relay.refuse()
    started = monotonic()
    for call in (database.read, database.write):
        with pytest.raises(ServiceUnavailable):
            call(lambda tx: tx.get("a"))
    with pytest.raises(ServiceUnavailable) as caught:
        database.ping()
    assert monotonic() - started < 1
    assert "refused" in str(caught.value.__cause__)  # for the log and for `identity check`
    database.close()
