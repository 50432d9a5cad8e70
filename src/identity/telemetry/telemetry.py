"""What the settings ask to be told, as the functions that the rooms are handed for it; without such settings, none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from identity.domain.ports import PasswordHasher
from identity.mail.carriers import Carrier
from identity.mail.dispatcher import OnOutcome, unheard
from identity.rpc.pipeline import Observe as ObserveCall
from identity.rpc.pipeline import Trace as TraceCall
from identity.settings import Settings, SettingsInvalid
from identity.store.database import dialect_of
from identity.store.observed import Observe as ObserveUnit
from identity.store.observed import Trace as TraceUnit
from identity.store.transaction import UNWATCHED, Watch

if TYPE_CHECKING:
    from identity.telemetry.endpoint import Endpoint
    from identity.telemetry.metrics import Metrics
    from identity.telemetry.traces import Traces


class Telemetry:
    """Loads what is asked for when it is built, and nothing else."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.metrics_address
        self._metrics: Metrics | None = None
        self._endpoint: Endpoint | None = None
        self.observe_call: ObserveCall | None = None
        self.observe_unit: ObserveUnit | None = None
        self.observe_mail: OnOutcome = unheard
        self.watch: Watch = UNWATCHED
        self._traces = open_traces(settings) if settings.otlp_endpoint else None
        self.trace_call: TraceCall | None = self._traces.call if self._traces else None
        self.trace_unit: TraceUnit | None = self._traces.unit if self._traces else None
        if self._address:
            from identity.telemetry.metrics import Metrics

            self._metrics = self.watch = metrics = Metrics()
            self.observe_call, self.observe_unit, self.observe_mail = metrics.call, metrics.unit, metrics.mail

    @property
    def metrics_address(self) -> str:
        """Where metrics are scraped; empty where they are not."""
        return self._endpoint.address if self._endpoint else ""

    def around_hasher(self, hasher: PasswordHasher) -> PasswordHasher:
        """The hasher to use: with a span for each hash where there are traces."""
        if self._traces is None:
            return hasher
        from identity.telemetry.traced import TracedHasher

        return TracedHasher(hasher, self._traces)

    def around_carrier(self, carrier: Carrier) -> Carrier:
        """The carrier to use: with a span for each delivery where there are traces."""
        if self._traces is None:
            return carrier
        from identity.telemetry.traced import TracedCarrier

        return TracedCarrier(carrier, self._traces)

    def start(self, **rooms: Any) -> None:
        """Let metrics be scraped, of these rooms too (see `Metrics.watch`). Raises SettingsInvalid."""
        if self._metrics is None:
            return
        from identity.telemetry.endpoint import Endpoint

        self._metrics.watch(**rooms)
        try:
            self._endpoint = Endpoint(self._address, self._metrics.registry)
        except OSError as error:
            raise SettingsInvalid(
                f"IDENTITY_METRICS_ADDRESS={self._address} cannot be served on: {error.strerror}."
            ) from None
        self._endpoint.start()

    def stop(self) -> None:
        """Tell nobody any more."""
        if self._endpoint is not None:
            self._endpoint.stop()
        if self._traces is not None:
            self._traces.stop()


def open_traces(settings: Settings) -> Traces:
    """Raises SettingsInvalid where what traces need is not installed."""
    try:
        from identity.telemetry.traces import Traces
    except ImportError:
        raise SettingsInvalid(
            "IDENTITY_OTLP_ENDPOINT needs OpenTelemetry: pip install 'identity-service[otel]'"
        ) from None
    return Traces(settings.otlp_endpoint, dialect_of(settings.database))
