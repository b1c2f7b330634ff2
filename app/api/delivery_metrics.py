"""Deliveries in the Prometheus text format, read from the database: labels are endpoint ids, never addresses."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.events.counts import DeliveryCounts


class _Deliveries(Collector):
    """Hands Prometheus what was counted."""

    def __init__(self, counts: DeliveryCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """The families, each with a sample for each endpoint."""
        attempts = CounterMetricFamily(
            "sceau_webhook_attempts", "Attempts to deliver, by how they ended.", labels=["endpoint", "outcome"]
        )
        for (endpoint, outcome), number in self._counts.attempts.items():
            attempts.add_metric([str(endpoint), outcome], number)
        yield attempts
        unfinished = GaugeMetricFamily(
            "sceau_webhook_deliveries", "Deliveries that wait or were given up.", labels=["endpoint", "status"]
        )
        for (endpoint, status), number in self._counts.unfinished.items():
            unfinished.add_metric([str(endpoint), status], number)
        yield unfinished
        yield GaugeMetricFamily(
            "sceau_outbox_undispatched",
            "Events that are not dispatched to webhooks yet; at most 10,000 are counted.",
            value=self._counts.undispatched,
        )


def delivery_metrics(counts: DeliveryCounts | None) -> bytes:
    """The text to add to a scrape; empty when nothing could be read. Every process tells the same: do not add up."""
    if counts is None:
        return b""
    registry = CollectorRegistry()
    registry.register(_Deliveries(counts))
    return generate_latest(registry)
