"""A receiver of traces over OTLP/HTTP, made of OpenTelemetry's own protocol: it keeps each span that it is sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.listening import Answering, listening


@dataclass(frozen=True)
class ReceivedSpan:
    """One span as it was sent, its ids in hexadecimal."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    state: str
    attributes: dict[str, Any]
    more: int
    """Events and links."""


@dataclass
class TraceReceiver:
    """Where it listens, each request's body, and the spans in them."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)

    def spans(self) -> list[ReceivedSpan]:
        """The spans so far."""
        return [span for body in self.bodies for span in _spans(body)]

    def of(self, trace: str) -> dict[str, list[ReceivedSpan]]:
        """The spans of one trace by name."""
        spans: dict[str, list[ReceivedSpan]] = {}
        for span in self.spans():
            if span.trace == trace:
                spans.setdefault(span.name, []).append(span)
        return spans


@contextmanager
def receiving() -> Iterator[TraceReceiver]:
    """A receiver on a free port of loopback."""
    kept = TraceReceiver()

    class Handler(Answering):
        def post(self) -> None:
            """Keep what is sent to the path of traces, as the protocol has it; anything else is not found."""
            body = self.sent()
            is_traces = self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
            if is_traces:
                kept.bodies.append(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.answer(answer, 200 if is_traces else 404, {"Content-Type": "application/x-protobuf"})

    with listening(Handler) as kept.url:
        yield kept


def settings_to(receiver: TraceReceiver) -> dict[str, str]:
    """The environment of a service that sends its traces there, soon."""
    return {
        "SCEAU_TRACES": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }


def _spans(body: bytes) -> Iterator[ReceivedSpan]:
    request = ExportTraceServiceRequest.FromString(body)
    for resource in request.resource_spans:
        named = {each.key: each.value.string_value for each in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield ReceivedSpan(
                    named["service.name"],
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.trace_state,
                    {each.key: _value(each.value) for each in span.attributes},
                    len(span.events) + len(span.links),
                )


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))
