"""One unit of work: a connection seen as the stores of the domain."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from identity.domain.audit import Event
from identity.store.accounts import Accounts
from identity.store.audit import Audit
from identity.store.challenges import Challenges
from identity.store.deployment import Deployment
from identity.store.factors import Factors
from identity.store.housekeeping import Housekeeping
from identity.store.invites import Invites
from identity.store.one_time_tokens import OneTimeTokens
from identity.store.outbox import Outbox
from identity.store.push_devices import PushDevices
from identity.store.revocations import Revocations
from identity.store.roles import Roles
from identity.store.sealed_rows import SealedRows
from identity.store.service_keys import ServiceKeys
from identity.store.sessions import Sessions
from identity.store.signing_keys import SigningKeys
from identity.store.tenants import Tenants
from identity.store.throttles import Throttles

V = TypeVar("V")


class Watch(Protocol):
    """Hears in closed words what units of work did: once it is committed, but of a refused attempt at once."""

    def event(self, event: Event) -> None: ...
    def session_ended(self, reason: str) -> None: ...
    def throttled(self, budget: str) -> None: ...


class Unwatched:
    """Nobody listens."""

    def event(self, event: Event) -> None: ...
    def session_ended(self, reason: str) -> None: ...
    def throttled(self, budget: str) -> None: ...


UNWATCHED = Unwatched()


def ignore(account_id: UUID | None) -> None:
    """What a process does about changes that remembers nothing."""


class Transaction:
    """Implements `domain.ports.Transaction`; the engine runs `actions` once the commit has happened.

    `on_change` then learns of each account whose rows, sessions or memberships have changed; None stands for all,
    as when a tenant changes. A store tells of it with `changed`, wherever it changes what GetSession tells.
    """

    __slots__ = ("_connection", "_on_change", "_watch", "actions")

    def __init__(
        self, connection: Connection, on_change: Callable[[UUID | None], None] = ignore, watch: Watch = UNWATCHED
    ) -> None:
        self._connection = connection
        self._on_change = on_change
        self._watch = watch
        self.actions: list[Callable[[], None]] = []

    def changed(self, account_id: UUID | None) -> None:
        self.actions.append(partial(self._on_change, account_id))

    def after_commit(self, action: Callable[[], None]) -> None:
        self.actions.append(action)

    def _told(self, hear: Callable[[V], None], what: V) -> None:
        self.actions.append(partial(hear, what))

    @property
    def accounts(self) -> Accounts:
        return Accounts(self._connection, self.changed)

    @property
    def tenants(self) -> Tenants:
        return Tenants(self._connection, self.changed)

    @property
    def sessions(self) -> Sessions:
        return Sessions(self._connection, self.changed)

    @property
    def one_time_tokens(self) -> OneTimeTokens:
        return OneTimeTokens(self._connection)

    @property
    def throttles(self) -> Throttles:
        return Throttles(self._connection, self._watch.throttled)

    @property
    def revocations(self) -> Revocations:
        return Revocations(self._connection, lambda reason: self._told(self._watch.session_ended, reason))

    @property
    def signing_keys(self) -> SigningKeys:
        return SigningKeys(self._connection)

    @property
    def sealed(self) -> SealedRows:
        return SealedRows(self._connection)

    @property
    def outbox(self) -> Outbox:
        return Outbox(self._connection, self.after_commit)

    @property
    def audit(self) -> Audit:
        return Audit(self._connection, lambda event: self._told(self._watch.event, event))

    @property
    def deployment(self) -> Deployment:
        return Deployment(self._connection)

    @property
    def housekeeping(self) -> Housekeeping:
        return Housekeeping(self._connection)

    @property
    def factors(self) -> Factors:
        return Factors(self._connection, self.changed)

    @property
    def challenges(self) -> Challenges:
        return Challenges(self._connection)

    @property
    def roles(self) -> Roles:
        return Roles(self._connection, self.changed)

    @property
    def invites(self) -> Invites:
        return Invites(self._connection)

    @property
    def push_devices(self) -> PushDevices:
        return PushDevices(self._connection)

    @property
    def service_keys(self) -> ServiceKeys:
        return ServiceKeys(self._connection)
