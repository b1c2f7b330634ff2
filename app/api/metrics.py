"""Metrics of the service: what this process counts, and what it reads from the database when Prometheus asks.

Events are counted in plain numbers where they happen, so that a decision pays nothing for it. Over several workers,
counters are summed, and the worst value of a lag or a failure is reported. Labels are fixed words and ids of
endpoints: never an address, an issuer, a subject or a key.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from pydantic import BaseModel, Field

from app.api.http.exchange import REFUSALS
from app.api.http.protocol import BoundedProtocol
from app.api.http.services import Services
from app.audit.figures import DayOfRuns
from app.auth.callers import POLICY, Counted
from app.db.refusals import DatabaseCondition
from app.events.effects import DeliveryCounts
from app.telemetry.metrics import build
from app.telemetry.room import restarts

if TYPE_CHECKING:
    from app.auth.issuers import TokenCheck

# Labels are fixed words, never the name of a person or anything that a caller sent.


def watch_conditions(services: Services, unanswered: Mapping[tuple[str, ...], int]) -> None:
    """Make an application's metrics report what its parts find. `unanswered`: as the wording of answers counts it."""
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
    metrics, of = services.metrics, {"sessions": services.database, "reading": services.reading}
    in_use: dict[str, Callable[[], float]] = {name: partial(getattr, each, "in_use") for name, each in of.items()}
    waiting: dict[str, Callable[[], float]] = {name: partial(getattr, each, "waiting") for name, each in of.items()}
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
    """The build, and how often processes were started again; every worker reports the same."""
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
    """The condition of the database server; if it is None, only that the server cannot be reached."""
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


def watch_replica(services: Services) -> None:
    """Make an application's metrics report what its confirmations, its memory and its decision log count."""
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


def change_metrics(changes: int) -> Iterator[Metric]:
    """The number of rows in the database's table of changes."""
    about = "Changes kept because some replica has not applied them."
    yield GaugeMetricFamily("sceau_change_rows", about, value=changes)


class IssuerState(BaseModel):
    """One issuer's keys in this process. Readiness does not depend on it: API keys go on working without."""

    keys: int = Field(description="How many of its keys can be used now; none: its tokens cannot be judged")
    age_seconds: float | None = Field(default=None, description="Since they were fetched; null, they never were")
    failures: int = Field(description="Fetches that failed since the last one that did not")


def issuer_states(check: "TokenCheck") -> Iterator[IssuerState]:
    """The state of each issuer's keys, in the order of SCEAU_OIDC_ISSUER."""
    for issuer in check.issuers.values():
        age = issuer.age
        yield IssuerState(
            keys=len(issuer.keys.keys),
            age_seconds=round(age, 1) if age is not None else None,
            failures=issuer.failures,
        )


def watch_issuers(services: Services) -> None:
    """Make an application's metrics report on its issuers, if it accepts access tokens."""
    check, metrics = services.token_check, services.metrics
    if check is None:
        return
    issuers = list(check.issuers.values())
    outcomes: dict[str, Callable[[], float]] = {"accepted": lambda: check.accepted}
    for why in check.refused:
        outcomes[why] = _refused(check, why)
    metrics.watch_counter("sceau_tokens", "Access tokens checked, by what they were found to be.", outcomes, "outcome")
    begun = {"begun": lambda: sum(each.fetches for each in issuers)}
    metrics.watch_counter("sceau_issuer_fetches", "Fetches of issuers' keys.", begun, "what")
    metrics.watch_gauge(
        "sceau_issuer_failures",
        "Fetches of an issuer's keys that failed in a row, of the issuer that fails most.",
        lambda: max(each.failures for each in issuers),
        of_workers="max",
    )
    metrics.watch_gauge(
        "sceau_issuer_keys",
        "Keys of an issuer that can be used now, of the issuer that has fewest.",
        lambda: min(len(each.keys.keys) for each in issuers),
        of_workers="min",
    )
    metrics.watch_gauge(
        "sceau_issuer_keys_age_seconds",
        "Seconds since an issuer's keys were fetched, of the issuer whose are oldest; 0 before the first fetch.",
        lambda: max(each.age or 0.0 for each in issuers),
        of_workers="max",
    )


def _refused(check: "TokenCheck", why: str) -> Callable[[], float]:
    return lambda: check.refused[why]


def watch_refusals(services: Services) -> None:
    """Make the metrics report how many requests were over a quota, by policy, and how many were unread, by problem."""
    over_quota: dict[str, Callable[[], float]] = {
        of.value: partial(services.limits.refused.__getitem__, of) for of in Counted
    }
    over_quota[POLICY] = lambda: services.unknown_keys.refused
    services.metrics.watch_counter(
        "sceau_over_quota", "Requests refused for having been too many (429).", over_quota, "policy"
    )
    unread: dict[str, Callable[[], float]] = {
        each.slug: partial(BoundedProtocol.refused.__getitem__, each.slug) for each in REFUSALS
    }
    services.metrics.watch_counter(
        "sceau_unread", "Requests refused before they were read (400, 408, 414, 431).", unread, "problem"
    )


def delivery_metrics(counts: DeliveryCounts) -> Iterator[Metric]:
    """The metrics of webhook deliveries, with samples for each endpoint."""
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


_GAUGES: Final = (
    ("sceau_job_last_run_timestamp_seconds", "When the task's last run began."),
    ("sceau_job_last_took_seconds", "How long its last run took."),
    ("sceau_job_last_flagged", "How many things its last run dealt with."),
    ("sceau_job_backlog", "What its last run left for the next."),
    ("sceau_job_day_failures", "Runs that failed on its last day (UTC)."),
)


def proof_metrics(merge: float, anchor: float) -> Iterator[Metric]:
    """How many seconds the log is behind what was recorded, and how many its stamps and cosignatures are behind it."""
    about = "Seconds for which the oldest recorded thing waits to be entered in the log"
    yield GaugeMetricFamily("sceau_proof_merge_delay_seconds", about, value=merge)
    about = "Seconds for which the log's oldest checkpoint waits to be stamped or cosigned by somebody outside"
    yield GaugeMetricFamily("sceau_proof_anchor_delay_seconds", about, value=anchor)


def job_metrics(runs: Sequence[DayOfRuns]) -> Iterator[Metric]:
    """The metrics of background jobs, with a sample for each task; none if no task has run yet."""
    if not runs:
        return
    for name, about in _GAUGES:
        family = GaugeMetricFamily(name, about, labels=["task"])
        for run in runs:
            family.add_metric([run.task], _values(run)[name])
        yield family


def _values(run: DayOfRuns) -> dict[str, float]:
    values = (run.last_started_at.timestamp(), run.last_took, run.last_flagged, run.backlog)
    return dict(zip((name for name, _ in _GAUGES), (*values, run.failures), strict=True))
