"""The metrics of one process. Its methods are handed to the rooms, and may be called in any thread."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from identity import __version__
from identity.crypto.key_ring import KeyRing
from identity.crypto.lane import HashingLane
from identity.domain.audit import Event
from identity.domain.mails import MailKind
from identity.domain.ports import World
from identity.domain.sessions import EndReason
from identity.mail.dispatcher import Outcome
from identity.rpc.health import Health
from identity.rpc.pipeline import Pipeline
from identity.store.database import Database
from identity.store.transaction import Transaction
from identity.telemetry import families
from identity.telemetry.families import Family
from identity.telemetry.readings import Readings

M = TypeVar("M", Counter, Histogram)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of buckets: the fastest calls are below the first, and at the last a call is ended (TR-03)."""


class Metrics:
    """What happened since the start, and with `watch` what is now."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside each counter
        self.registry = CollectorRegistry()
        # Looking labels up costs more than counting, so that what happens all the time finds its child by itself.
        self._call_seconds = _Children(self._histogram(families.CALL_SECONDS))
        self._refusals = _Children(self._counter(families.REFUSALS))
        self._unit_seconds = _Children(self._histogram(families.UNIT_SECONDS))
        self._events = self._counters(families.EVENTS, Event)
        self._ended = self._counters(families.SESSIONS_ENDED, EndReason)
        self._throttled = _Children(self._counter(families.THROTTLED))
        self._mails = _Children(self._counter(families.MAILS))
        ProcessCollector(registry=self.registry)

    # What the rooms tell.

    def call(self, method: str, code: str, reason: str, seconds: float) -> None:
        self._call_seconds[method, code].observe(seconds)
        if reason:
            self._refusals[method, reason].inc()

    def unit(self, kind: str, outcome: str, seconds: float) -> None:
        self._unit_seconds[kind, outcome].observe(seconds)

    def event(self, event: Event) -> None:
        self._events[event].inc()

    def session_ended(self, reason: str) -> None:
        self._ended[reason].inc()

    def throttled(self, budget: str) -> None:
        self._throttled[budget,].inc()

    def mail(self, kind: MailKind, outcome: Outcome) -> None:
        self._mails[kind.value, outcome.value].inc()

    # What is asked of them.

    def watch(
        self,
        *,
        world: World,
        database: Database[Transaction],
        lane: HashingLane,
        pipeline: Pipeline,
        key_ring: KeyRing,
        health: Health,
    ) -> None:
        """Ask these, whenever somebody scrapes."""
        build = Gauge(families.BUILD.name, families.BUILD.help, families.BUILD.labels, registry=self.registry)
        build.labels(__version__, platform.python_version(), database.dialect).set(1)

        def lag() -> float | None:
            at = world.revoked.learned_at
            return None if at is None else world.monotonic() - at

        self.registry.register(
            Readings(
                {
                    families.READY: lambda: health.is_serving,
                    families.IN_FLIGHT: lambda: pipeline.in_flight,
                    families.HASHING_RUNNING: lambda: lane.running,
                    families.HASHING_WAITING: lambda: lane.waiting,
                    families.HASHING_SHED: lambda: lane.shed,
                    families.CONNECTIONS: lambda: database.usage().in_use,
                    families.CONNECTIONS_LIMIT: lambda: database.usage().limit,
                    families.QUEUE: lambda: database.usage().queued,
                    families.OUTBOX: lambda: database.read(lambda tx: tx.outbox.backlog(world.clock())),
                    families.REVOCATION_LAG: lag,
                    families.REVOCATIONS: lambda: len(world.revoked),
                    families.KEY_AGE: lambda: _seconds(world.clock(), key_ring.keys().signing.signs_from),
                }
            )
        )

    def _counter(self, family: Family) -> Counter:
        return Counter(family.name, family.help, family.labels, registry=self.registry)

    def _histogram(self, family: Family) -> Histogram:
        return Histogram(family.name, family.help, family.labels, registry=self.registry, buckets=SECONDS)

    def _counters(self, family: Family, values: Iterable[str]) -> dict[str, Counter]:
        """A counter for each value of a closed set, so that all are there from the start, at zero."""
        counter = self._counter(family)
        return {value: counter.labels(value) for value in values}


class _Children(dict[tuple[str, ...], M]):
    """The children of a metric that have been asked for, by the values of their labels."""

    def __init__(self, parent: M) -> None:
        self._parent: M = parent

    def __missing__(self, values: tuple[str, ...]) -> M:
        child: M = self._parent.labels(*values)
        self[values] = child
        return child


def _seconds(now: datetime, since: datetime) -> float:
    return (now - since).total_seconds()
