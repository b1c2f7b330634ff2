"""Metrics in the Prometheus text format. Labels are route templates, words of enums and status codes; never a name.

With several workers the counts of all of them are summed (PROMETHEUS_MULTIPROC_DIR, set by `sceau serve`).
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Final, Literal

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector


@cache
def build() -> tuple[str, str]:
    """Return the package's version, and the commit that its image was built from (`unknown` outside an image)."""
    return version("sceau"), os.environ.get("SERVICE_REVISION") or "unknown"


_EACH_SECONDS: Final = 0.25
_KEPT: Final = 60


class LoopLag:
    """Measures, over and over, how much later than asked a sleep ends."""

    def __init__(self) -> None:
        """Begin without a measurement."""
        self._late: deque[float] = deque([0.0], maxlen=_KEPT)

    async def keep(self) -> None:
        """Measure four times a second, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _EACH_SECONDS
            await asyncio.sleep(_EACH_SECONDS)
            self._late.append(max(0.0, loop.time() - due))

    def longest(self) -> float:
        """Return the longest delay of the last fifteen seconds, in seconds."""
        return max(self._late)


class _Told(Collector):
    """Gives Prometheus metric families that exist already."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        """Return the families."""
        return self._families


def exposition_of(families: Iterable[Metric]) -> bytes:
    """Return metric families in the Prometheus text format, to add to a scrape; empty when there is none."""
    return generate_latest(_Told(list(families)))


MEDIA_TYPE = CONTENT_TYPE_LATEST

FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "sceau_build_info": ("Which build answers.", "version", "revision", "schema"),
    "sceau_change_rows": ("Changes kept because some replica has not applied them.",),
    "sceau_confirmation_longest_seconds": ("The longest that a narrowing write has waited for its confirmation.",),
    "sceau_confirmation_seconds": ("Seconds that narrowing writes waited between their commit and their answer.",),
    "sceau_confirmations": ("Narrowing writes confirmed, by what let them be answered.", "by"),
    "sceau_database_archive_failures": ("Files of its log that could not be archived.",),
    "sceau_database_archived_timestamp_seconds": (
        "When PostgreSQL last archived a file of its log; 0 before the first.",
    ),
    "sceau_database_clock_ahead_seconds": (
        "Seconds by which the database's clock is ahead of this host's; negative, behind.",
    ),
    "sceau_database_durable": (
        "1 if decisions are recorded as durably as SCEAU_DURABILITY says, else 0: nothing is recorded then.",
    ),
    "sceau_database_primary": ("1 if the server that answered is a primary, 0 if it is a standby.",),
    "sceau_database_synchronous_standbys": (
        "Standbys in sync; told where the application role is in pg_read_all_stats.",
    ),
    "sceau_database_timeline": ("Its timeline: one more each failover.",),
    "sceau_database_up": ("1 if the database answered this scrape, else 0.",),
    "sceau_database_waits_for_standby": ("1 if its commits wait for a synchronous standby, else 0.",),
    "sceau_decision_log_flushes": ("Flushes of the decision log that failed.", "what"),
    "sceau_decision_log_rows": ("Rows of the decision log, and their outcome.", "what"),
    "sceau_decision_log_waiting": ("Rows that wait to be written.",),
    "sceau_decisions": ("Decisions answered.", "decision", "reason"),
    "sceau_event_loop_lag_seconds": (
        "The longest that what was due has waited in the last fifteen seconds, of the worker where it waited longest.",
    ),
    "sceau_feed_beats": ("Beats of the feed.", "what"),
    "sceau_http_request_seconds": ("Seconds from a request's head until its answer is made.", "route"),
    "sceau_http_requests": ("HTTP requests answered.", "method", "route", "status"),
    "sceau_issuer_failures": ("Fetches of an issuer's keys that failed in a row, of the issuer that fails most.",),
    "sceau_issuer_fetches": ("Fetches of issuers' keys.", "what"),
    "sceau_issuer_keys": ("Keys of an issuer that can be used now, of the issuer that has fewest.",),
    "sceau_issuer_keys_age_seconds": (
        "Seconds since an issuer's keys were fetched, of the issuer whose are oldest; 0 before the first fetch.",
    ),
    "sceau_job_backlog": ("What its last run left for the next.", "task"),
    "sceau_job_day_failures": ("Runs that failed on its last day (UTC).", "task"),
    "sceau_job_last_flagged": ("How many things its last run dealt with.", "task"),
    "sceau_job_last_run_timestamp_seconds": ("When the task's last run began.", "task"),
    "sceau_job_last_took_seconds": ("How long its last run took.", "task"),
    "sceau_journal_notes": ("Notes of the journal that could not be kept.", "what"),
    "sceau_leased": ("How many workers hold a lease.",),
    "sceau_memory_looks": (
        "Requests that memory answered, missed, or might not answer for want of a lease; records waited for together.",
        "what",
    ),
    "sceau_memory_subjects": ("Subjects held in memory.",),
    "sceau_outage": ("1 while a worker finds the database away, else 0.",),
    "sceau_outbox_undispatched": ("Events that are not dispatched to webhooks yet; at most 10,000 are counted.",),
    "sceau_over_quota": ("Requests refused for having been too many (429).", "policy"),
    "sceau_pool_connections": ("Database connections in use, by pool.", "pool"),
    "sceau_pool_waiting": ("Calls that wait for a connection, by pool.", "pool"),
    "sceau_primary_reads": ("Reads of the primary for decisions, by cause.", "cause"),
    "sceau_proof_anchor_delay_seconds": (
        "Seconds for which the log's oldest checkpoint waits to be stamped or cosigned by somebody outside",
    ),
    "sceau_proof_merge_delay_seconds": ("Seconds for which the oldest recorded thing waits to be entered in the log",),
    "sceau_replica_lag_seconds": ("Seconds since the last beat was sent, of the worker that is furthest behind.",),
    "sceau_restarts": ("Processes that ended or hung and were started again.", "process"),
    "sceau_restored_behind": ("1 while a worker finds that the database was set back, else 0.",),
    "sceau_tokens": ("Access tokens checked, by what they were found to be.", "outcome"),
    "sceau_unanswered": ("Questions not answered for want of facts.", "article"),
    "sceau_unread": ("Requests refused before they were read.", "problem"),
    "sceau_webhook_attempts": ("Attempts to deliver, by how they ended.", "endpoint", "outcome"),
    "sceau_webhook_deliveries": ("Deliveries that wait or were given up.", "endpoint", "status"),
    "sceau_webhook_lost": (
        "Deliveries that were dropped undelivered, because their events were older than events are kept.",
        "endpoint",
        "status",
    ),
    "sceau_writes": ("Events of consents (`other`: transactions without one), and their outcome.", "kind", "outcome"),
}
"""Every family of metrics by its name: what it tells, then its labels."""
OfWorkers = Literal["livemax", "livemin", "livesum"]
"""How the numbers of several workers become one."""
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class DecisionCounts:
    """Counts decisions as plain numbers, permitted or not, by reason."""

    def __init__(self) -> None:
        """Start at zero."""
        self.counts: dict[tuple[bool, str], int] = {}

    def count_outcome(self, outcome: tuple[bool, str]) -> None:
        """Count one more decision, permitted or not, for a reason."""
        self.counts[outcome] = self.counts.get(outcome, 0) + 1

    def by_words(self) -> Mapping[tuple[str, ...], int]:
        """Return the counts by the words of the family's labels."""
        return {("permit" if permitted else "deny", reason): n for (permitted, reason), n in self.counts.items()}


class RequestTimes:
    """Counts one route's answers of 200, and how long they took."""

    def __init__(self, seconds: Histogram, route: str) -> None:
        """Look up once what is counted into: the look-up costs more than counting."""
        self.answers = 0
        self._observe = seconds.labels(route).observe

    def observe(self, seconds: float) -> None:
        """Count one more answer of 200."""
        self.answers += 1
        self._observe(seconds)


class Watched:
    """Numbers that another part of the application keeps, by the words of their labels, handed on as Prometheus asks.

    Those of a gauge are handed on as they are; those of a counter only grow.
    """

    def __init__(self, metric: Counter | Gauge, read: Callable[[], Mapping[tuple[str, ...], float]]) -> None:
        """Read them with `read`."""
        self._metric = metric
        self._read = read
        self._reported: dict[tuple[str, ...], float] = {}

    def settle(self) -> None:
        """Hand on each number as it is, or by how much it has grown."""
        for words, number in list(self._read().items()):
            one = self._metric.labels(*words) if words else self._metric
            if isinstance(one, Gauge):
                one.set(number)
            elif (grown := number - self._reported.get(words, 0)) > 0:
                one.inc(grown)
                self._reported[words] = number


def _reading(by_word: Mapping[str, Callable[[], float]]) -> Callable[[], Mapping[tuple[str, ...], float]]:
    return lambda: {(word,): read() for word, read in by_word.items()}


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        """Start at zero, in a new registry."""
        self._registry = CollectorRegistry()
        self.labels: dict[str, tuple[str, ...]] = {}
        """The labels of each family, by its name; docs/reference/metrics.md lists them."""
        self.loop_lag = LoopLag()
        self.decisions = DecisionCounts()
        self._watched = [Watched(self._counter("sceau_decisions"), self.decisions.by_words)]
        self.requests = self._counter("sceau_http_requests")
        self.seconds = self._histogram("sceau_http_request_seconds")

    def _named(self, name: str) -> tuple[str, str, tuple[str, ...]]:
        """Note the labels of a family, and return what makes it."""
        about, *labels = FAMILIES[name]
        self.labels[name] = (*labels,)
        return name, about, self.labels[name]

    def _counter(self, name: str) -> Counter:
        return Counter(*self._named(name), registry=self._registry)

    def _gauge(self, name: str, of_workers: OfWorkers) -> Gauge:
        return Gauge(*self._named(name), registry=self._registry, multiprocess_mode=of_workers)

    def _histogram(self, name: str) -> Histogram:
        return Histogram(*self._named(name), buckets=_SECONDS, registry=self._registry)

    def times(self, route: str) -> RequestTimes:
        """Return where a decision endpoint counts its answers."""
        times = RequestTimes(self.seconds, route)
        self._watched.append(Watched(self.requests, lambda: {("POST", route, "200"): times.answers}))
        return times

    def watch_counter(self, name: str, by_word: Mapping[str, Callable[[], float]]) -> None:
        """Report numbers that only grow, one for each word of the family's label."""
        self._watched.append(Watched(self._counter(name), _reading(by_word)))

    def watch_counts(self, name: str, counts: Mapping[tuple[str, ...], int]) -> None:
        """Report numbers that only grow, by the words of the family's labels."""
        self._watched.append(Watched(self._counter(name), lambda: counts))

    def observing(self, name: str) -> Callable[[float], None]:
        """Return a function that takes seconds, and report how they are distributed."""
        return self._histogram(name).observe

    def watch_gauges(self, name: str, of_workers: OfWorkers, by_word: Mapping[str, Callable[[], float]]) -> None:
        """Do the same as `watch_gauge`, for each word of the family's label."""
        self._watched.append(Watched(self._gauge(name, of_workers), _reading(by_word)))

    def watch_gauge(self, name: str, of_workers: OfWorkers, read: Callable[[], float]) -> None:
        """Report a number as it is at the moment."""
        self._watched.append(Watched(self._gauge(name, of_workers), lambda: {(): read()}))

    def settle(self) -> None:
        """Hand on what was counted as plain numbers."""
        for watched in self._watched:
            watched.settle()

    async def keep(self) -> None:
        """Settle every second, until cancelled."""
        while True:
            await asyncio.sleep(1)
            self.settle()

    def exposition(self) -> bytes:
        """Return the text that a Prometheus server scrapes."""
        self.settle()
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
        return generate_latest(everyone)
