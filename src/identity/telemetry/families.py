"""The metrics by name: what each counts or measures. docs/operations.md has this table."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What Prometheus calls the kinds that we have."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Family(NamedTuple):
    """One metric. Counters have `_total` behind their name on the wire."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


CALL_SECONDS = Family(
    "identity_call_seconds",
    Kind.HISTOGRAM,
    ("method", "code"),
    "Seconds that calls took, streams too.",
)
REFUSALS = Family(
    "identity_refusals", Kind.COUNTER, ("method", "reason"), "Calls refused, by the reasons of docs/errors.md."
)
UNIT_SECONDS = Family(
    "identity_database_unit_seconds",
    Kind.HISTOGRAM,
    ("kind", "outcome"),
    "Seconds that units of work took, waiting and retries included: done, refused by themselves, or failed.",
)
EVENTS = Family(
    "identity_events", Kind.COUNTER, ("event",), "What the journal records: sign-ins, failures, locks and the like."
)
SESSIONS_ENDED = Family("identity_sessions_ended", Kind.COUNTER, ("reason",), "Sessions ended here before their time.")
THROTTLED = Family("identity_throttled", Kind.COUNTER, ("budget",), "Attempts that a budget refused.")
MAILS = Family("identity_mails", Kind.COUNTER, ("kind", "outcome"), "What became of tries to deliver a mail or a text.")
HASHING_SHED = Family("identity_hashing_shed", Kind.COUNTER, (), "Calls refused because too many wait for a hash.")
HASHING_WAITING = Family("identity_hashing_waiting", Kind.GAUGE, (), "Calls that wait for a hashing thread.")
HASHING_RUNNING = Family("identity_hashing_running", Kind.GAUGE, (), "Hashing threads at work.")
IN_FLIGHT = Family("identity_calls_in_flight", Kind.GAUGE, (), "Calls and streams in progress.")
CONNECTIONS = Family(
    "identity_database_connections_in_use", Kind.GAUGE, ("pool",), "Connections to the database at work."
)
CONNECTIONS_LIMIT = Family(
    "identity_database_connections_limit", Kind.GAUGE, ("pool",), "Connections that there may be."
)
QUEUE = Family("identity_database_queue", Kind.GAUGE, (), "Units that were handed to the writers and are not done.")
OUTBOX = Family("identity_outbox_waiting", Kind.GAUGE, (), "Mails and texts that wait, in the whole deployment.")
REVOCATION_LAG = Family(
    "identity_revocation_lag_seconds",
    Kind.GAUGE,
    (),
    "Seconds since the last look at the feed of ended sessions; over 5, tokens are refused.",
)
REVOCATIONS = Family("identity_revocations_known", Kind.GAUGE, (), "Ended sessions that are kept in memory.")
KEY_AGE = Family(
    "identity_signing_key_age_seconds",
    Kind.GAUGE,
    (),
    "Seconds that the present key has signed; it changes at 90 days.",
)
READY = Family("identity_ready", Kind.GAUGE, (), "1 while health checks succeed, 0 while they do not.")
BUILD = Family("identity_build_info", Kind.GAUGE, ("version", "python", "database"), "1, with what is running.")

FAMILIES = tuple(value for value in globals().values() if isinstance(value, Family))
