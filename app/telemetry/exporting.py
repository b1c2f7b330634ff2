"""Sends spans to an OTLP receiver over HTTP, as the OTEL_… variables of the environment say. Needs the extra `otel`."""

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.telemetry import spans
from app.telemetry.spans import Value

# What is sent of a span: attributes that are listed here, and nothing that a caller wrote.
# FastAPI gives each span the path and the query of its request, and links to the consent page hold their secret in
# the path. An exception's message may quote a body, and `tracestate` is the caller's. So each span is rebuilt from its
# parts just before it is sent, and what is not listed here stays behind.

ALLOWED: Final = frozenset(
    {
        "error.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "sceau.database.access",
        "sceau.decision.permits",
        "sceau.decision.permitted",
        "sceau.decision.processing",
        "sceau.decision.questions",
        "sceau.decision.reason",
        "sceau.event.type",
        "sceau.webhook.attempt",
        "sceau.webhook.outcome",
    }
)
"""`sceau.decision.processing` is the id of a registered processing: no other id is ever put there."""


class AllowedOnly(OTLPSpanExporter):
    """Sends spans with what is allowed of them."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        return super().export([allowed(each) for each in spans])


def allowed(span: ReadableSpan) -> ReadableSpan:
    """Return the span without events, links, words of its status, and attributes that are not listed."""
    return ReadableSpan(
        name=span.name,
        context=_bare(span.context),
        parent=_bare(span.parent),
        resource=span.resource,
        attributes={name: value for name, value in (span.attributes or {}).items() if name in ALLOWED},
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _bare(context: SpanContext | None) -> SpanContext | None:
    """Return the ids alone, without the caller's `tracestate`."""
    if context is None:
        return None
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)


_PROPAGATOR: Final = TraceContextTextMapPropagator()
_TRACEPARENT: Final = "traceparent"
_SERVER_ERROR: Final = 500


class ProcessTracer:
    """Makes the spans of one process.

    Of what a caller sends only `traceparent` is read: `tracestate` and `baggage` may hold anything, and go no further.
    """

    def __init__(self, provider: TracerProvider) -> None:
        """Make spans of this provider."""
        self._tracer = provider.get_tracer("sceau")

    @contextmanager
    def request(self, route: str, headers: Sequence[tuple[bytes, bytes]]) -> Iterator[Span]:
        """Begin the span of a request that FastAPI does not see, current while the block lasts; the caller ends it."""
        traceparent = next((value for name, value in headers if name == b"traceparent"), b"")
        attributes = {"http.request.method": "POST", "http.route": route}
        span = self._tracer.start_span(
            f"POST {route}", _remote(traceparent.decode("latin-1")), SpanKind.SERVER, attributes=attributes
        )
        with trace.use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False):
            yield span

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """Make a span below the current one, if that is recorded. Of an exception only its class is kept."""
        if not trace.get_current_span().is_recording():
            yield
            return
        with self._tracer.start_as_current_span(
            name, kind=SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    @contextmanager
    def webhook(self, caused_by: str) -> Iterator[None]:
        """Make the span of a delivery, in the trace of the request that caused it."""
        with self._tracer.start_as_current_span(
            "webhook", _remote(caused_by), SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
        ):
            yield

    def end(self, span: Span, status: int) -> None:
        """End the span of a request that was answered with this status."""
        span.set_attribute("http.response.status_code", status)
        if status >= _SERVER_ERROR:
            span.set_status(StatusCode.ERROR)
        span.end()

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes to the current span."""
        trace.get_current_span().set_attributes(attributes)

    def trace_id(self) -> str | None:
        """Return the id of the current trace."""
        context = trace.get_current_span().get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else None

    def traceparent(self) -> str | None:
        """Return the current span as a header says it, if it is recorded."""
        if not trace.get_current_span().is_recording():
            return None
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier[_TRACEPARENT]


def _remote(traceparent: str) -> Context:
    """Return the context that a `traceparent` names; an empty one if it is malformed."""
    return _PROPAGATOR.extract({_TRACEPARENT: traceparent}, context=Context())


_FLUSH_SECONDS: Final = 2.0
"""How long a process that ends waits for a receiver; spans that are still held then are lost."""


class Traces:
    """The spans of one process, sent to the receiver while an `async with` block lasts.

    `provider` is made at once, since FastAPI takes it when the application is made; nothing is sent, and no thread
    runs, before the block.
    """

    def __init__(self, version: str) -> None:
        """Prepare, for this version of the service."""
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "sceau"}
        self.provider = TracerProvider(
            resource=Resource.create({**named, SERVICE_VERSION: version}), shutdown_on_exit=False
        )

    async def __aenter__(self) -> None:
        """Begin to send."""
        self.provider.add_span_processor(BatchSpanProcessor(AllowedOnly()))
        spans.use(ProcessTracer(self.provider))

    async def __aexit__(self, *_: object) -> None:
        """Send what is left, for two seconds at most, and stop."""
        spans.use(None)
        # The provider waits half a minute for a receiver that does not answer, even if it is asked for less.
        ending = threading.Thread(target=self.provider.shutdown, name="last spans", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, _FLUSH_SECONDS)
