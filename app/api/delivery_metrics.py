"""Deliveries as Prometheus metrics, read from the database: labels are endpoint ids, never addresses."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from app.events.counts import DeliveryCounts


def delivery_metrics(counts: DeliveryCounts | None) -> Iterator[Metric]:
    """The families, each with a sample for each endpoint; none when nothing could be read."""
    if counts is None:
        return
    attempts = CounterMetricFamily(
        "sceau_webhook_attempts", "Attempts to deliver, by how they ended.", labels=["endpoint", "outcome"]
    )
    for (endpoint, outcome), number in counts.attempts.items():
        attempts.add_metric([str(endpoint), outcome], number)
    yield attempts
    unfinished = GaugeMetricFamily(
        "sceau_webhook_deliveries", "Deliveries that wait or were given up.", labels=["endpoint", "status"]
    )
    for (endpoint, status), number in counts.unfinished.items():
        unfinished.add_metric([str(endpoint), status], number)
    yield unfinished
    lost = CounterMetricFamily(
        "sceau_webhook_lost",
        "Deliveries that were dropped undelivered, because their events were older than events are kept.",
        labels=["endpoint", "status"],
    )
    for (endpoint, status), number in counts.lost.items():
        lost.add_metric([str(endpoint), status], number)
    yield lost
    yield GaugeMetricFamily(
        "sceau_outbox_undispatched",
        "Events that are not dispatched to webhooks yet; at most 10,000 are counted.",
        value=counts.undispatched,
    )
