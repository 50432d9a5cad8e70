"""Spans of calls, of what they wait for, and of deliveries, sent on over OTLP.

A call takes part in the trace of its caller (W3C Trace Context). What is written down of it is closed words: names of
methods and of functions of ours, codes and reasons; no id, address, statement or text of an error (LO-01, LO-02).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from threading import Thread

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from identity import __version__
from identity.rpc.caller import CallSpan
from identity.store.observed import EndUnit

EXPORT_SECONDS = 5
"""How long one batch may take, and everything that is left when the service ends."""

_ERROR_TYPE = "error.type"
_OUR_FAULT = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})


class Traces:
    """Where spans begin. What the collector does not take is dropped, and never waited for."""

    def __init__(self, endpoint: str, dialect: str) -> None:
        """Connects when there is something to send. `dialect` is the database's."""
        resource = Resource.create(
            {"service.name": "identity", "service.version": __version__, "service.instance.id": token_hex(8)}
        )
        self._exporter = OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_SECONDS)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("identity", __version__)
        self._propagator = TraceContextTextMapPropagator()
        self._dialect = dialect

    def call(self, method: str, traceparent: str | None) -> CallSpan:
        """Begin the span of a call, which is the current one from here on."""
        parent = self._propagator.extract({"traceparent": traceparent}) if traceparent else None
        span = self._tracer.start_span(
            method[1:], parent, SpanKind.SERVER, {"rpc.system.name": "grpc", "rpc.method": method[1:]}
        )
        contexts.attach(trace.set_span_in_context(span))
        return _CallSpan(span)

    def unit(self, kind: str, name: str) -> EndUnit | None:
        """Begin the span of a unit of work, if it is part of something; what nobody waits for would be noise."""
        if not trace.get_current_span().get_span_context().is_valid:
            return None
        span = self._tracer.start_span(
            f"{kind} {self._dialect}",
            kind=SpanKind.CLIENT,
            attributes={"db.system.name": self._dialect, "db.operation.name": kind, "code.function.name": name},
        )

        def end(outcome: str) -> None:
            if outcome == "failed":
                span.set_status(StatusCode.ERROR)
            span.set_attribute("identity.outcome", outcome)
            span.end()

        return end

    @contextmanager
    def step(self, name: str, **attributes: str) -> Iterator[None]:
        """A span around something else that takes its time; an error is told by its class."""
        span = self._tracer.start_span(name, attributes=attributes)
        try:
            yield
        except BaseException as error:
            span.set_attribute(_ERROR_TYPE, type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.end()

    def stop(self) -> None:
        """Send what is left, or give it up: by itself the SDK would go on trying for half a minute (F-18)."""
        last = Thread(target=self._provider.shutdown, name="traces", daemon=True)
        last.start()
        last.join(EXPORT_SECONDS)
        if last.is_alive():
            self._exporter.shutdown()
            last.join()


class _CallSpan:
    """Implements `rpc.caller.CallSpan`."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self.trace_id = trace.format_trace_id(span.get_span_context().trace_id)

    def end(self, code: str, reason: str) -> None:
        self._span.set_attribute("rpc.response.status_code", code)
        if reason:
            self._span.set_attribute(_ERROR_TYPE, reason)
        if code in _OUR_FAULT:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()
