"""Metrics in the Prometheus text format. Labels are route templates, words of enums and status codes; never a name.

With several workers the counts of all of them are summed (PROMETHEUS_MULTIPROC_DIR, set by `sceau serve`).
"""

import os

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

MEDIA_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        """Start at zero, in a registry of its own."""
        self._registry = CollectorRegistry()
        self.decisions = Counter(
            "sceau_decisions", "Decisions answered.", ["decision", "reason"], registry=self._registry
        )
        self.requests = Counter(
            "sceau_http_requests", "HTTP requests answered.", ["method", "route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "sceau_http_request_seconds",
            "Seconds from the request's first byte to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )

    def exposition(self) -> bytes:
        """The text that a Prometheus server scrapes."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
        return generate_latest(everyone)
