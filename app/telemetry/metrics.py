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

from app.core.decision import Decision


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
    listed = list(families)
    if not listed:
        return b""
    registry = CollectorRegistry()
    registry.register(_Told(listed))
    return generate_latest(registry)


MEDIA_TYPE = CONTENT_TYPE_LATEST

_LIVE: Final[Mapping[str, Literal["livemax", "livemin", "livesum"]]] = {
    "max": "livemax",
    "min": "livemin",
    "sum": "livesum",
}

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class DecisionCounts:
    """Counts decisions as plain numbers, and hands them to Prometheus when it asks."""

    def __init__(self, counter: Counter) -> None:
        """Count into this counter."""
        self._counter = counter
        self._pending: dict[tuple[bool, str], int] = {}

    def count(self, decision: Decision) -> None:
        """Count one more decision."""
        self.count_reason(permitted=decision.permitted, reason=decision.reason.value)

    def count_reason(self, *, permitted: bool, reason: str) -> None:
        """Count one more decision of that outcome."""
        self.count_outcome((permitted, reason))

    def count_outcome(self, outcome: tuple[bool, str]) -> None:
        """Count one more decision, permitted or not, for a reason."""
        self._pending[outcome] = self._pending.get(outcome, 0) + 1

    def settle(self) -> None:
        """Hand on what was counted since the last time."""
        pending, self._pending = self._pending, {}
        for (permitted, reason), number in pending.items():
            self._counter.labels("permit" if permitted else "deny", reason).inc(number)


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
    """A number that another part of the application keeps, handed on when Prometheus asks."""

    def __init__(self, metric: Counter | Gauge, read: Callable[[], float]) -> None:
        """Read it with `read`."""
        self._metric = metric
        self._read = read
        self._told = 0.0

    def settle(self) -> None:
        """Hand on the number as it is, or by how much it has grown."""
        number = self._read()
        if isinstance(self._metric, Gauge):
            self._metric.set(number)
        elif number > self._told:
            self._metric.inc(number - self._told)
            self._told = number


class WatchedCounts:
    """Numbers that only grow, kept elsewhere by the words of their labels."""

    def __init__(self, counter: Counter, counts: Mapping[tuple[str, ...], int]) -> None:
        """Read them from `counts`."""
        self._counter = counter
        self._counts = counts
        self._told: dict[tuple[str, ...], int] = {}

    def settle(self) -> None:
        """Hand on by how much each has grown."""
        for words, number in list(self._counts.items()):
            grown = number - self._told.get(words, 0)
            self._told[words] = number
            self._counter.labels(*words).inc(grown)


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        """Start at zero, in a new registry."""
        self._registry = CollectorRegistry()
        self.labels: dict[str, tuple[str, ...]] = {}
        """The labels of each family, by its name; docs/reference/metrics.md lists them."""
        self._watched: list[Watched | WatchedCounts] = []
        self.loop_lag = LoopLag()
        self.decisions = DecisionCounts(
            Counter(
                *self._named("sceau_decisions", "Decisions answered.", "decision", "reason"), registry=self._registry
            )
        )
        self.requests = Counter(
            *self._named("sceau_http_requests", "HTTP requests answered.", "method", "route", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            *self._named(
                "sceau_http_request_seconds",
                "Seconds from a request's head until its answer is made.",
                "route",
            ),
            buckets=_SECONDS,
            registry=self._registry,
        )

    def _named(self, name: str, about: str, *labels: str) -> tuple[str, str, tuple[str, ...]]:
        """Note the labels of a family, and return what makes it."""
        self.labels[name] = labels
        return name, about, labels

    def times(self, route: str) -> RequestTimes:
        """Return where a decision endpoint counts its answers."""
        times = RequestTimes(self.seconds, route)
        self._watched.append(Watched(self.requests.labels("POST", route, "200"), lambda: times.answers))
        return times

    def watch_counter(self, name: str, about: str, by_word: Mapping[str, Callable[[], float]], label: str) -> None:
        """Report numbers that only grow, one for each word of a label."""
        counter = Counter(*self._named(name, about, label), registry=self._registry)
        self._watched += [Watched(counter.labels(word), read) for word, read in by_word.items()]

    def watch_counts(self, name: str, about: str, counts: Mapping[tuple[str, ...], int], labels: Sequence[str]) -> None:
        """Report numbers that only grow, by the words of several labels."""
        counter = Counter(*self._named(name, about, *labels), registry=self._registry)
        self._watched.append(WatchedCounts(counter, counts))

    def observing(self, name: str, about: str) -> Callable[[float], None]:
        """Return a function that takes seconds, and report how they are distributed."""
        return Histogram(*self._named(name, about), buckets=_SECONDS, registry=self._registry).observe

    def watch_gauges(
        self, name: str, about: str, by_word: Mapping[str, Callable[[], float]], label: str, *, of_workers: str
    ) -> None:
        """Do the same as `watch_gauge`, for each word of a label."""
        gauge = Gauge(*self._named(name, about, label), registry=self._registry, multiprocess_mode=_LIVE[of_workers])
        self._watched += [Watched(gauge.labels(word), read) for word, read in by_word.items()]

    def watch_gauge(self, name: str, about: str, read: Callable[[], float], *, of_workers: str) -> None:
        """Report a number as it is at the moment; `of_workers`: how those of several become one: max, min or sum."""
        gauge = Gauge(*self._named(name, about), registry=self._registry, multiprocess_mode=_LIVE[of_workers])
        self._watched.append(Watched(gauge, read))

    def settle(self) -> None:
        """Hand on what was counted as plain numbers; with several workers, each does so every second."""
        self.decisions.settle()
        for watched in self._watched:
            watched.settle()

    def exposition(self) -> bytes:
        """Return the text that a Prometheus server scrapes."""
        self.settle()
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        everyone = CollectorRegistry()
        MultiProcessCollector(everyone)  # type: ignore[no-untyped-call]
        return generate_latest(everyone)
