"""Metrics of what a process finds: waits, writes, pools, outages, a database that was set back; and of its build.

Labels are words of ours, never a name of anybody or anything that a caller sent.
"""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from app.api.http.services import Services
from app.db.refusals import DatabaseCondition
from app.telemetry.metrics import build
from app.telemetry.room import restarts


def watch_conditions(services: Services, unanswered: Mapping[tuple[str, ...], int]) -> None:
    """Have the metrics of an application tell what its parts find; `unanswered` as the wording of answers counts it."""
    metrics, writer = services.metrics, services.writer
    writer.confirmer.waited = metrics.observing(
        "sceau_confirmation_seconds", "Seconds that narrowing writes waited between their commit and their answer."
    )
    metrics.watch_counts(
        "sceau_writes",
        "Transactions, by what they recorded and what became of them.",
        writer.writes,
        ["kind", "outcome"],
    )
    metrics.watch_counts(
        "sceau_primary_reads", "Reads of the primary for decisions, by cause.", services.reads.causes, ["cause"]
    )
    metrics.watch_counts("sceau_unanswered", "Questions not answered for want of facts.", unanswered, ["article"])
    journal = {"failed": lambda: services.journal.failures}
    metrics.watch_counter("sceau_journal_notes", "Notes of the journal that could not be kept.", journal, "what")
    metrics.watch_gauge(
        "sceau_restored_behind",
        "1 while a worker finds that the database was set back, else 0.",
        lambda: services.fence.behind,
        of_workers="max",
    )
    metrics.watch_gauge(
        "sceau_outage",
        "1 while a worker finds the database away, else 0.",
        lambda: services.outage.lasts,
        of_workers="max",
    )
    metrics.watch_gauge(
        "sceau_event_loop_lag_seconds",
        "The longest that what was due has waited in the last fifteen seconds, of the worker where it waited longest.",
        metrics.loop_lag.longest,
        of_workers="max",
    )
    _watch_pools(services)


def _watch_pools(services: Services) -> None:
    database, metrics = services.database, services.metrics
    in_use, waiting = {"sessions": lambda: database.in_use}, {"sessions": lambda: database.waiting}
    if services.memory is not None:
        pool = services.memory.replica.pool
        in_use["memory"], waiting["memory"] = pool.in_use, pool.waiting
    metrics.watch_gauges(
        "sceau_pool_connections", "Database connections in use, by pool.", in_use, "pool", of_workers="sum"
    )
    metrics.watch_gauges(
        "sceau_pool_waiting", "Calls that wait for a connection, by pool.", waiting, "pool", of_workers="sum"
    )


def process_metrics(condition: DatabaseCondition | None) -> Iterator[Metric]:
    """The build, and how often processes were started again; every worker tells the same."""
    version, revision = build()
    told = GaugeMetricFamily("sceau_build_info", "Which build answers.", labels=["version", "revision", "schema"])
    told.add_metric([version, revision, "unknown" if condition is None else condition.schema], 1)
    yield told
    again = CounterMetricFamily(
        "sceau_restarts", "Processes that ended or hung and were started again.", labels=["process"]
    )
    for process, number in restarts().items():
        again.add_metric([process], number)
    yield again


def database_metrics(condition: DatabaseCondition | None, *, durable: bool = True) -> Iterator[Metric]:
    """The server as it is now; only that it cannot be reached, where it cannot."""
    reached = "1 if the database answered this scrape, else 0."
    yield GaugeMetricFamily("sceau_database_up", reached, value=condition is not None)
    if condition is None:
        return
    about = "1 if the server that answered is a primary, 0 if it is a standby."
    yield GaugeMetricFamily("sceau_database_primary", about, value=condition.is_primary)
    if condition.timeline is not None:
        yield GaugeMetricFamily(
            "sceau_database_timeline", "Its timeline: one more each failover.", value=condition.timeline
        )
    about = "1 if its commits wait for a synchronous standby, else 0."
    yield GaugeMetricFamily("sceau_database_waits_for_standby", about, value=condition.waits_for_standby)
    about = "1 if decisions are recorded as durably as SCEAU_DURABILITY says, else 0: nothing is recorded then."
    yield GaugeMetricFamily("sceau_database_durable", about, value=durable)
    if condition.standbys is not None:
        about = "Standbys in sync; told where the application role is in pg_read_all_stats."
        yield GaugeMetricFamily("sceau_database_synchronous_standbys", about, value=condition.standbys)
    about = "Seconds by which the database's clock is ahead of this host's; negative, behind."
    yield GaugeMetricFamily("sceau_database_clock_ahead_seconds", about, value=condition.ahead)
    if condition.archives:
        about = "When PostgreSQL last archived a file of its log; 0 before the first."
        at = 0.0 if condition.archived_at is None else condition.archived_at.timestamp()
        yield GaugeMetricFamily("sceau_database_archived_timestamp_seconds", about, value=at)
        about = "Files of its log that could not be archived."
        yield CounterMetricFamily("sceau_database_archive_failures", about, value=condition.archive_failures)
