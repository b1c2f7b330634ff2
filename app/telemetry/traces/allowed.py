"""What of a span is sent: attributes that stand in a list, and nothing that a caller wrote.

FastAPI gives each span the path and the query of its request, and links to the consent page hold their secret in the
path. An exception's message may quote a body, and `tracestate` is the caller's. So a span is made anew from its parts
just before it is sent, and what is not listed here stays behind.
"""

from collections.abc import Sequence
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, Status

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
"""`sceau.decision.processing` is the id of a registered processing: what names none is never put there."""


class AllowedOnly(SpanExporter):
    """Hands spans on with what is allowed of them."""

    def __init__(self, exporter: SpanExporter) -> None:
        """Hand on to this exporter."""
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        return self._exporter.export([allowed(each) for each in spans])

    def shutdown(self) -> None:
        """Send nothing more."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what the exporter holds back."""
        return self._exporter.force_flush(timeout_millis)


def allowed(span: ReadableSpan) -> ReadableSpan:
    """The span without events, links, words of its status, and attributes that are not listed."""
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
    """The ids alone, without the caller's `tracestate`."""
    if context is None:
        return None
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)
