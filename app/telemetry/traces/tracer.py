"""Makes spans by OpenTelemetry's API. Imported only where traces are on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.telemetry.traces.spans import Value

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
        """The span of a request that FastAPI does not see, current while the block lasts; the caller ends it."""
        given = next((value for name, value in headers if name == b"traceparent"), b"")
        attributes = {"http.request.method": "POST", "http.route": route}
        span = self._tracer.start_span(
            f"POST {route}", _remote(given.decode("latin-1")), SpanKind.SERVER, attributes=attributes
        )
        with trace.use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False):
            yield span

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """A span below the current one, if that is recorded. Of an exception its class alone is kept."""
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
        """The span of a delivery, in the trace of the request that caused it."""
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
        """The id of the current trace."""
        context = trace.get_current_span().get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else None

    def traceparent(self) -> str | None:
        """The current span as a header says it, if it is recorded."""
        if not trace.get_current_span().is_recording():
            return None
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier[_TRACEPARENT]


def _remote(given: str) -> Context:
    """The context that a `traceparent` names; an empty one where it is none."""
    return _PROPAGATOR.extract({_TRACEPARENT: given}, context=Context())
