"""The statements of a feed, what their answers say (docs/freshness.md, "One beat"), and the lease that they earn."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from app.db.primary import HAS_STANDBY, IDENTITY
from app.snapshot.acknowledgement import TransactionSnapshot


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


REGISTER: Final = """
WITH gone AS (DELETE FROM replica WHERE id = %(old)s)
INSERT INTO replica (id, lease_ms, seen_at, about) VALUES (%(id)s, %(lease_ms)s, clock_timestamp(), %(about)s)
"""

_NEWS: Final = """news AS (
    SELECT kind, ref FROM change WHERE xid >= pg_snapshot_xmax(%(cursor)s::pg_snapshot)
    UNION ALL
    SELECT kind, ref FROM change WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(%(cursor)s::pg_snapshot)))
    LIMIT %(limit)s
)"""
_SEEN: Final = f"""pg_current_snapshot()::text, clock_timestamp(),
    ARRAY(SELECT kind::text || ':' || encode(ref, 'hex') FROM news), {IDENTITY}"""  # noqa: S608 - constants

BEAT: Final = f"""
WITH beaten AS (
    UPDATE replica SET beat = beat + 1, applied = coalesce(%(cursor)s::pg_snapshot, applied),
        seen_at = clock_timestamp()
    WHERE id = %(id)s RETURNING beat
), {_NEWS}
SELECT {_SEEN}, (SELECT beat FROM beaten), {HAS_STANDBY}
"""  # noqa: S608 - constants
"""Publishes the cursor that was applied before, and reads what it had not seen."""

PEEK: Final = f"WITH {_NEWS} SELECT {_SEEN}"
"""Reads what the cursor had not seen, and writes nothing: it is no proof that this server is still the primary."""

ACKNOWLEDGE: Final = """
SELECT set_config('synchronous_commit', 'off', true), count(pg_notify(channel, %(said)s))
FROM unnest(%(channels)s::text[]) AS channel
"""
"""Tells writers what was applied. Nothing of it need outlive the server, so its commit waits for nothing."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What a beat or a peek saw: when it was sent and ran, what had changed, and which server says so."""

    sent: float
    snapshot: TransactionSnapshot
    cursor: str
    clock: datetime
    changes: Sequence[tuple[int, bytes]]
    server: str | None

    @classmethod
    def of(cls, sent: float, row: Sequence[Any]) -> Self:
        """Read the first columns of an answer."""
        snapshot, clock, news, server = row[:4]
        changes = [(int(kind), bytes.fromhex(ref)) for kind, _, ref in (each.partition(":") for each in news)]
        return cls(sent, TransactionSnapshot.parse(snapshot), snapshot, clock, changes, server)
