"""The right of a replica to decide from memory: until when, by a clock that also counts while the machine sleeps."""

import time
from dataclasses import dataclass


def boot_seconds() -> float:
    """Seconds since the machine started, suspends included (CLOCK_BOOTTIME; a monotonic clock leaves them out)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


PROTOCOL = 1
"""The version of the freshness protocol (docs/freshness.md) that this code speaks.

Raise it when code of before, running beside, could answer what is stale: the first process that speaks the new one then
keeps older code from starting.
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of the freshness protocol, in seconds, and the most changes that one beat takes."""

    lease: float = 2.0
    heartbeat: float = 0.25
    margin: float = 0.5
    row_limit: int = 5_000


SHORTEST_LEASE = 0.1
LONGEST_LEASE = 10.0
"""Bounds of the lease, in seconds. All processes of a deployment agree on one: writers wait for that long at most."""


class Lease:
    """Ends by itself; extended by each beat, from the time before the beat was sent."""

    def __init__(self) -> None:
        """Not held yet."""
        self.end = 0.0

    def held(self) -> bool:
        """Whether memory may be used at this moment. Look it up after this, with nothing awaited between."""
        return boot_seconds() < self.end

    def extend(self, sent: float, seconds: float) -> None:
        """Hold it for some seconds from when the beat was sent."""
        self.end = sent + seconds

    def give_up(self) -> None:
        """Hold it no longer."""
        self.end = 0.0
