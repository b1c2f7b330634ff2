"""Sends spans to an OTLP receiver over HTTP, as the OTEL_… variables of the environment say. Needs the extra `otel`."""

import os
import threading
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from app.telemetry.traces import spans
from app.telemetry.traces.allowed import AllowedOnly
from app.telemetry.traces.tracer import ProcessTracer

_FLUSH_SECONDS: Final = 2.0
"""How long a process that ends waits for a receiver; spans that are still held then are lost."""


class Traces:
    """The spans of one process, on their way to the receiver.

    `provider` is made at once, since FastAPI takes it when the application is made; nothing is sent, and no thread
    runs, before `start`.
    """

    def __init__(self, version: str) -> None:
        """Prepare, as this version of the service."""
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "sceau"}
        self.provider = TracerProvider(
            resource=Resource.create({**named, SERVICE_VERSION: version}), shutdown_on_exit=False
        )

    def start(self) -> None:
        """Begin to send."""
        self.provider.add_span_processor(BatchSpanProcessor(AllowedOnly(OTLPSpanExporter())))
        spans.use(ProcessTracer(self.provider))

    def stop(self) -> None:
        """Send what is left, for two seconds at most, and stop."""
        spans.use(None)
        # The provider waits half a minute for a receiver that does not answer, whatever it is asked.
        ending = threading.Thread(target=self.provider.shutdown, name="last spans", daemon=True)
        ending.start()
        ending.join(_FLUSH_SECONDS)
