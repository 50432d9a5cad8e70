"""One unit of work: a connection seen as the stores of the domain."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from identity.store.accounts import Accounts
from identity.store.audit import Audit
from identity.store.deployment import Deployment
from identity.store.housekeeping import Housekeeping
from identity.store.one_time_tokens import OneTimeTokens
from identity.store.outbox import Outbox
from identity.store.revocations import Revocations
from identity.store.sessions import Sessions
from identity.store.signing_keys import SigningKeys
from identity.store.tenants import Tenants
from identity.store.throttles import Throttles


class Transaction:
    """Implements `domain.ports.Transaction`; the engine runs `actions` once the commit has happened."""

    __slots__ = ("_connection", "actions")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.actions: list[Callable[[], None]] = []

    def after_commit(self, action: Callable[[], None]) -> None:
        self.actions.append(action)

    @property
    def accounts(self) -> Accounts:
        return Accounts(self._connection)

    @property
    def tenants(self) -> Tenants:
        return Tenants(self._connection)

    @property
    def sessions(self) -> Sessions:
        return Sessions(self._connection)

    @property
    def one_time_tokens(self) -> OneTimeTokens:
        return OneTimeTokens(self._connection)

    @property
    def throttles(self) -> Throttles:
        return Throttles(self._connection)

    @property
    def revocations(self) -> Revocations:
        return Revocations(self._connection)

    @property
    def signing_keys(self) -> SigningKeys:
        return SigningKeys(self._connection)

    @property
    def outbox(self) -> Outbox:
        return Outbox(self._connection)

    @property
    def audit(self) -> Audit:
        return Audit(self._connection)

    @property
    def deployment(self) -> Deployment:
        return Deployment(self._connection)

    @property
    def housekeeping(self) -> Housekeeping:
        return Housekeeping(self._connection)
