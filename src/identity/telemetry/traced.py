"""Parts of the service with a span around what takes their time."""

from __future__ import annotations

from collections.abc import Mapping

from identity.domain.mails import OutboxMail
from identity.domain.ports import PasswordHasher
from identity.mail.carriers import Carrier
from identity.telemetry.traces import Traces


class TracedHasher:
    """Another hasher; it runs in the lane, inside the span of the call."""

    def __init__(self, hasher: PasswordHasher, traces: Traces) -> None:
        self._hasher = hasher
        self._traces = traces

    def hash(self, password: str) -> str:
        with self._traces.step("hash password"):
            return self._hasher.hash(password)

    def verify(self, password: str, stored: str | None) -> bool:
        with self._traces.step("verify password"):
            return self._hasher.verify(password, stored)

    def needs_rehash(self, stored: str) -> bool:
        return self._hasher.needs_rehash(stored)


class TracedCarrier:
    """Another carrier; each delivery is a trace of its own, for the call that asked for it is long over."""

    def __init__(self, carrier: Carrier, traces: Traces) -> None:
        self._carrier = carrier
        self._traces = traces
        self.channel = carrier.channel

    def carry(self, mail: OutboxMail, values: Mapping[str, str]) -> None:
        told = {"identity.channel": self.channel.value, "identity.mail.kind": mail.kind.value}
        with self._traces.step("deliver", **told):
            self._carrier.carry(mail, values)

    def close(self) -> None:
        self._carrier.close()
