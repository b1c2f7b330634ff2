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
from app.telemetry.metrics import FAMILIES, build
from app.telemetry.room import restarts

if TYPE_CHECKING:
    from app.auth.issuers import TokenCheck


def watch_conditions(services: Services, unanswered: Mapping[tuple[str, ...], int]) -> None:
    """Make an application's metrics report what its parts find. `unanswered`: as the wording of answers counts it."""
    metrics, writer, journal = services.metrics, services.writer, services.journal
    writer.confirmer.waited = metrics.observing("sceau_confirmation_seconds")
    metrics.watch_counts("sceau_writes", writer.writes)
    metrics.watch_counts("sceau_primary_reads", services.reads.causes)
    metrics.watch_counts("sceau_unanswered", unanswered)
    metrics.watch_counter("sceau_journal_notes", {"failed": lambda: journal.failures})
    metrics.watch_gauge("sceau_restored_behind", "livemax", lambda: services.fence.behind)
    metrics.watch_gauge("sceau_outage", "livemax", lambda: services.outage.lasts)
    metrics.watch_gauge("sceau_event_loop_lag_seconds", "livemax", metrics.loop_lag.longest)
    of = {"sessions": services.database, "reading": services.reading}
    in_use: dict[str, Callable[[], float]] = {name: partial(getattr, each, "in_use") for name, each in of.items()}
    waiting: dict[str, Callable[[], float]] = {name: partial(getattr, each, "waiting") for name, each in of.items()}
    if services.memory is not None:
        pool = services.memory.replica.pool
        in_use["memory"], waiting["memory"] = pool.in_use, pool.waiting
    metrics.watch_gauges("sceau_pool_connections", "livesum", in_use)
    metrics.watch_gauges("sceau_pool_waiting", "livesum", waiting)


def _family(
    kind: type[GaugeMetricFamily | CounterMetricFamily], name: str, numbers: Mapping[tuple[str, ...], float]
) -> Metric:
    """A family of metrics with its numbers, by the words of its labels."""
    about, *labels = FAMILIES[name]
    family = kind(name, about, labels=labels)
    for words, number in numbers.items():
        family.add_metric(words, number)
    return family


def _gauge(name: str, number: float) -> Metric:
    return _family(GaugeMetricFamily, name, {(): number})


def process_metrics(condition: DatabaseCondition | None) -> Iterator[Metric]:
    """The build, and how often processes were started again; every worker reports the same."""
    schema = "unknown" if condition is None else condition.schema
    yield _family(GaugeMetricFamily, "sceau_build_info", {(*build(), schema): 1})
    yield _family(CounterMetricFamily, "sceau_restarts", {(each,): number for each, number in restarts().items()})


def database_metrics(condition: DatabaseCondition | None, *, durable: bool = True) -> Iterator[Metric]:
    """The condition of the database server; if it is None, only that the server cannot be reached."""
    yield _gauge("sceau_database_up", condition is not None)
    if condition is None:
        return
    gauges = {
        "sceau_database_primary": condition.is_primary,
        "sceau_database_timeline": condition.timeline,
        "sceau_database_waits_for_standby": condition.waits_for_standby,
        "sceau_database_durable": durable,
        "sceau_database_synchronous_standbys": condition.standbys,
        "sceau_database_clock_ahead_seconds": condition.ahead,
    }
    if condition.archives:
        at = condition.archived_at
        gauges["sceau_database_archived_timestamp_seconds"] = 0.0 if at is None else at.timestamp()
        failures: dict[tuple[str, ...], float] = {(): condition.archive_failures}
        yield _family(CounterMetricFamily, "sceau_database_archive_failures", failures)
    yield from (_gauge(name, number) for name, number in gauges.items() if number is not None)


def watch_replica(services: Services) -> None:
    """Make an application's metrics report what its confirmations, its memory and its decision log count."""
    metrics, confirmer, memory = services.metrics, services.writer.confirmer, services.memory
    by = {"notice": lambda: confirmer.by_notice, "deadline": lambda: confirmer.by_deadline}
    metrics.watch_counter("sceau_confirmations", by)
    metrics.watch_gauge("sceau_confirmation_longest_seconds", "livemax", lambda: confirmer.longest_wait)
    if memory is not None:
        replica = memory.replica
        looks = {
            "hit": lambda: memory.hits,
            "miss": lambda: memory.misses,
            "joined": lambda: replica.joins,
            "without_lease": lambda: memory.without_lease,
        }
        metrics.watch_counter("sceau_memory_looks", looks)
        metrics.watch_counter("sceau_feed_beats", {"answered": lambda: replica.feed.beats})
        metrics.watch_gauge("sceau_leased", "livesum", replica.lease.held)
        metrics.watch_gauge("sceau_replica_lag_seconds", "livemax", replica.lag)
        metrics.watch_gauge("sceau_memory_subjects", "livesum", lambda: len(replica.subjects))
    if services.recorder is not None:
        log = services.recorder.log
        became = {"written": lambda: log.counts.written, "dropped": lambda: log.counts.dropped}
        metrics.watch_counter("sceau_decision_log_rows", became)
        metrics.watch_counter("sceau_decision_log_flushes", {"failed": lambda: log.counts.failed_flushes})
        metrics.watch_gauge("sceau_decision_log_waiting", "livesum", lambda: len(log))


def change_metrics(changes: int) -> Iterator[Metric]:
    """The number of rows in the database's table of changes."""
    yield _gauge("sceau_change_rows", changes)


class IssuerState(BaseModel):
    """One issuer's keys in this process. Readiness does not depend on it: API keys go on working without."""

    keys: int = Field(description="How many of its keys can be used now; none: no token of it lets anybody in")
    age_seconds: float | None = Field(default=None, description="Since they were fetched; null, they never were")
    failures: int = Field(description="Fetches that failed since the last one that did not")


def issuer_states(check: "TokenCheck") -> Iterator[IssuerState]:
    """The state of each issuer's keys, in the order of SCEAU_OIDC_ISSUER."""
    for issuer in check.issuers.values():
        age = round(issuer.age, 1) if issuer.age is not None else None
        yield IssuerState(keys=len(issuer.keys.keys), age_seconds=age, failures=issuer.failures)


def watch_issuers(services: Services) -> None:
    """Make an application's metrics report on its issuers, if it accepts access tokens."""
    check, metrics = services.token_check, services.metrics
    if check is None:
        return
    issuers = list(check.issuers.values())
    outcomes: dict[str, Callable[[], float]] = {"accepted": lambda: check.accepted}
    outcomes |= {why: partial(check.refused.__getitem__, why) for why in check.refused}
    metrics.watch_counter("sceau_tokens", outcomes)
    metrics.watch_counter("sceau_issuer_fetches", {"begun": lambda: sum(each.fetches for each in issuers)})
    metrics.watch_gauge("sceau_issuer_failures", "livemax", lambda: max(each.failures for each in issuers))
    metrics.watch_gauge("sceau_issuer_keys", "livemin", lambda: min(len(each.keys.keys) for each in issuers))
    metrics.watch_gauge("sceau_issuer_keys_age_seconds", "livemax", lambda: max(each.age or 0.0 for each in issuers))


def watch_refusals(services: Services) -> None:
    """Make the metrics report how many requests were over a quota, by policy, and how many were unread, by problem."""
    limits, unknown_keys = services.limits, services.unknown_keys
    over_quota: dict[str, Callable[[], float]] = {of.value: partial(limits.refused.__getitem__, of) for of in Counted}
    over_quota[POLICY] = lambda: unknown_keys.refused
    services.metrics.watch_counter("sceau_over_quota", over_quota)
    slugs = {each.slug for each in REFUSALS}
    services.metrics.watch_counter(
        "sceau_unread", {slug: partial(BoundedProtocol.refused.__getitem__, slug) for slug in sorted(slugs)}
    )


def delivery_metrics(counts: DeliveryCounts) -> Iterator[Metric]:
    """The metrics of webhook deliveries, with samples for each endpoint."""
    of = ("sceau_webhook_attempts", "sceau_webhook_deliveries", "sceau_webhook_lost")
    for name, numbers in zip(of, (counts.attempts, counts.unfinished, counts.lost), strict=True):
        kind = GaugeMetricFamily if numbers is counts.unfinished else CounterMetricFamily
        yield _family(kind, name, {(str(endpoint), word): number for (endpoint, word), number in numbers.items()})
    yield _gauge("sceau_outbox_undispatched", counts.undispatched)


def proof_metrics(merge: float, anchor: float) -> Iterator[Metric]:
    """How many seconds the log is behind what was recorded, and how many its stamps and cosignatures are behind it."""
    yield _gauge("sceau_proof_merge_delay_seconds", merge)
    yield _gauge("sceau_proof_anchor_delay_seconds", anchor)


_OF_A_TASK: Final[Mapping[str, Callable[[DayOfRuns], float]]] = {
    "sceau_job_last_run_timestamp_seconds": lambda run: run.last_started_at.timestamp(),
    "sceau_job_last_took_seconds": lambda run: run.last_took,
    "sceau_job_last_flagged": lambda run: run.last_flagged,
    "sceau_job_backlog": lambda run: run.backlog,
    "sceau_job_day_failures": lambda run: run.failures,
}


def job_metrics(runs: Sequence[DayOfRuns]) -> Iterator[Metric]:
    """The metrics of background jobs, with a sample for each task; none if no task has run yet."""
    for name, read in _OF_A_TASK.items() if runs else ():
        yield _family(GaugeMetricFamily, name, {(run.task,): read(run) for run in runs})
