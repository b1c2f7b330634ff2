"""What a replica tells about itself: its memory, its lease, how its writes were confirmed, what became of its log.

The numbers are plain ones where they are counted; they reach Prometheus when it asks (design: nothing on a hit that can
be done later). With several workers, counters are summed; of a lag the greatest is told, of leases how many are held.
"""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from app.api.services import Services


def watch_replica(services: Services) -> None:
    """Have the metrics of an application tell what its parts count."""
    metrics, confirmer = services.metrics, services.writer.confirmer
    confirmations = {"notice": lambda: confirmer.by_notice, "deadline": lambda: confirmer.by_deadline}
    metrics.watch_counter(
        "sceau_confirmations", "Narrowing writes confirmed, by what let them be answered.", confirmations, "by"
    )
    metrics.watch_gauge(
        "sceau_confirmation_longest_seconds",
        "The longest that a narrowing write has waited for its confirmation.",
        lambda: confirmer.longest_wait,
        of_workers="max",
    )
    _watch_memory(services)
    _watch_log(services)


def _watch_memory(services: Services) -> None:
    memory, metrics = services.memory, services.metrics
    if memory is None:
        return
    replica = memory.replica
    looks = {
        "hit": lambda: memory.hits,
        "miss": lambda: memory.misses,
        "joined": lambda: replica.joins,
        "without_lease": lambda: memory.without_lease,
    }
    metrics.watch_counter(
        "sceau_memory_looks",
        "Requests that memory answered, missed, or might not answer for want of a lease; records waited for together.",
        looks,
        "what",
    )
    metrics.watch_counter("sceau_feed_beats", "Beats of the feed.", {"answered": lambda: replica.feed.beats}, "what")
    metrics.watch_gauge("sceau_leased", "How many workers hold a lease.", replica.lease.held, of_workers="sum")
    metrics.watch_gauge(
        "sceau_replica_lag_seconds",
        "Seconds since the last beat was sent, of the worker that is furthest behind.",
        replica.lag,
        of_workers="max",
    )
    metrics.watch_gauge(
        "sceau_memory_subjects", "Subjects held in memory.", lambda: len(replica.subjects), of_workers="sum"
    )


def _watch_log(services: Services) -> None:
    if services.recorder is None:
        return
    log, metrics = services.recorder.log, services.metrics
    became = {"written": lambda: log.counts.written, "dropped": lambda: log.counts.dropped}
    metrics.watch_counter(
        "sceau_decision_log_rows", "Rows of the decision log, by what became of them.", became, "what"
    )
    failed = {"failed": lambda: log.counts.failed_flushes}
    metrics.watch_counter("sceau_decision_log_flushes", "Flushes of the decision log that failed.", failed, "what")
    metrics.watch_gauge(
        "sceau_decision_log_waiting", "Rows that wait to be written.", lambda: len(log), of_workers="sum"
    )


def change_metrics(changes: int | None) -> Iterator[Metric]:
    """The size of the change table as the database has it; nothing when it is unknown."""
    if changes is not None:
        about = "Changes kept because some replica has not applied them."
        yield GaugeMetricFamily("sceau_change_rows", about, value=changes)
