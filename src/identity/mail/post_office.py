"""The post office: a dispatcher for each channel, begun and ended together."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from identity.domain.mails import Channel, OutboxMail
from identity.domain.ports import Database, Vault
from identity.mail.carriers import Carrier
from identity.mail.dispatcher import Dispatcher, OnOutcome, unheard


class PostOffice:
    """Empties the outbox; `resolve` is the dispatcher's."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        resolve: Callable[[OutboxMail], OutboxMail | None],
        clock: Callable[[], datetime],
        *carriers: Carrier,
        on_outcome: OnOutcome = unheard,
    ) -> None:
        self._dispatchers = {
            carrier.channel: Dispatcher(database, vault, resolve, carrier, clock, on_outcome) for carrier in carriers
        }

    def start(self) -> None:
        """Begin, in the background."""
        for dispatcher in self._dispatchers.values():
            dispatcher.start()

    def wake(self, channel: Channel = Channel.MAIL) -> None:
        """Look at a channel's rows now: one was queued. Cheap, and safe from any thread."""
        self._dispatchers[channel].wake()

    def stop(self, timeout: float = 10.0) -> bool:
        """Finish what is in hand and give the other leases back; False if that took too long (F-18)."""
        deadline = time.monotonic() + timeout
        for dispatcher in self._dispatchers.values():
            dispatcher.retire()
        # Each is waited for, also after one that was too slow.
        ended = [worker.stop(max(0.0, deadline - time.monotonic())) for worker in self._dispatchers.values()]
        return all(ended)
