"""A real OTLP collector that keeps what it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status


class Collector(TraceServiceServicer):
    """What has arrived so far; a service sends the last of it when it stops."""

    def __init__(self) -> None:
        self.received: list[ExportTraceServiceRequest] = []
        self.endpoint = ""

    def Export(self, request: ExportTraceServiceRequest, context: Any) -> ExportTraceServiceResponse:
        self.received.append(request)
        return ExportTraceServiceResponse()

    @property
    def content(self) -> bytes:
        """Everything that was sent, as it was on the wire."""
        return b"".join(request.SerializeToString() for request in self.received)

    @property
    def resource(self) -> dict[str, str]:
        """What is said of the process."""
        attributes = self.received[0].resource_spans[0].resource.attributes
        return {attribute.key: attribute.value.string_value for attribute in attributes}

    def spans(self, name: str = "", **attributes: str) -> list[Told]:
        """The spans of a name, or all of them, with these attributes; dots are underscores here."""
        scopes = (scope for request in self.received for part in request.resource_spans for scope in part.scope_spans)
        told = [Told(span) for scope in scopes for span in scope.spans]
        return [span for span in told if name in ("", span.name) and attributes.items() <= span.attributes.items()]


class Told:
    """One span."""

    def __init__(self, span: Span) -> None:
        self.name = span.name
        self.id = span.span_id.hex()
        self.parent = span.parent_span_id.hex()
        self.trace = span.trace_id.hex()
        self.failed = span.status.code == Status.STATUS_CODE_ERROR
        self.events = list(span.events)
        self.seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
        self.attributes = {item.key.replace(".", "_"): item.value.string_value for item in span.attributes}

    def __repr__(self) -> str:
        return f"{self.name} {self.attributes}"


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()
