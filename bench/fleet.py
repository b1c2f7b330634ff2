"""`./dev bench fleet`: many workers on paper: what one primary carries, and when a stream has to stand between.

A simulation, seeded, of nothing but queues. Today each narrowing commit is read and acknowledged by each worker, and
each worker sends its beats, all as statements of the one primary. Behind a stream (one logical slot that feeds NATS
JetStream or Kafka) workers read and acknowledge there; the database hears the slot and a few holders of the lease.
"""

import argparse
import heapq
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

_STATEMENT: Final = 0.00013
"""Seconds of PostgreSQL's processor for a beat, and for an acknowledgement with the read before it (measured)."""
_BROKER: Final = 0.00001
"""Seconds of a broker's processor to deliver a message and to take its acknowledgement: assumed, not measured."""
_BEATS: Final = 4
_HOLDERS: Final = 5
"""Statements with which a stream's reader and the holders of the lease stand for all workers."""
_WAY: Final = 0.0005
_MEDIAN_PAUSE: Final = 0.002
_SPREAD: Final = 0.8
"""A worker takes a change up after a pause of its event loop: log-normal, 2 ms in the middle, 13 ms at the p99."""
_SECONDS: Final = 30.0
_CORES: Final = 2
_SIZES: Final = (2, 10, 50, 150, 500)


@dataclass(frozen=True, slots=True)
class Fleet:
    """How many workers there are, how many narrowing commits come a second, and whether a stream stands between."""

    workers: int
    commits: float
    stream: bool


@dataclass(frozen=True, slots=True)
class Course:
    """What came of one: the share of the primary's processors, and after how many seconds commits were confirmed."""

    used: float
    middle: float
    last_of_hundred: float


def course_of(fleet: Fleet, chance: Random) -> Course:
    """Simulate some seconds of a fleet."""
    commits = list(_arrivals(fleet.commits, chance))
    speakers = _HOLDERS if fleet.stream else fleet.workers
    beats = [(at, -1) for _ in range(speakers) for at in _beats(chance)]
    acknowledged = [
        (at + _WAY + chance.lognormvariate(0.0, _SPREAD) * _MEDIAN_PAUSE, number)
        for number, at in enumerate(commits)
        for _ in range(fleet.workers)
    ]
    if fleet.stream:
        ended, _ = _served(acknowledged, _BROKER, 1)
        _, busy = _served([*beats, *((at, -1) for at in commits)], _STATEMENT, _CORES)
    else:
        ended, busy = _served([*beats, *acknowledged], _STATEMENT, _CORES)
    took = sorted(ended[number] + _WAY - at for number, at in enumerate(commits))
    return Course(busy / (_SECONDS * _CORES), took[len(took) // 2], took[int(len(took) * 0.99)])


def _arrivals(rate: float, chance: Random) -> Iterator[float]:
    at = chance.expovariate(rate)
    while at < _SECONDS:
        yield at
        at += chance.expovariate(rate)


def _beats(chance: Random) -> Iterator[float]:
    first = chance.random() / _BEATS
    return (first + number / _BEATS for number in range(int(_SECONDS) * _BEATS))


def _served(asked: list[tuple[float, int]], each: float, servers: int) -> tuple[dict[int, float], float]:
    """When the last statement of each commit was served, in order of arrival by so many servers, and their time."""
    free, ended = [0.0] * servers, dict[int, float]()
    for at, number in sorted(asked):
        until = max(at, heapq.heappop(free)) + each
        heapq.heappush(free, until)
        ended[number] = max(until, ended.get(number, 0.0))
    return ended, len(asked) * each


def main(arguments: list[str]) -> int:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(prog="./dev bench fleet", description=__doc__)
    parser.add_argument("--commits", type=float, default=5.0, help="narrowing commits a second (groups of withdrawals)")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    if asked.commits <= 0:
        parser.error("--commits is more than 0")
    print(f"{asked.commits:g} narrowing commits a second, {_CORES} cores, {_SECONDS:g} simulated seconds:\n")
    print("| workers | stream | primary busy | confirmed, p50 | p99 |\n|---|---|---|---|---|")
    for workers in _SIZES:
        for stream in (False, True):
            found = course_of(Fleet(workers, asked.commits, stream), Random(asked.seed))
            times = f"{found.middle * 1000:.1f} ms | {found.last_of_hundred * 1000:.1f} ms"
            print(f"| {workers} | {'yes' if stream else 'no'} | {found.used:.1%} | {times} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
