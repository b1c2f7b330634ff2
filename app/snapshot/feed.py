"""The feed: one connection on which a replica reads what changed, says what it has applied, and earns its lease.

docs/freshness.md gives the protocol step by step; the order of the steps here is its substance. Each incarnation (one
connection) registers under an id of its own. A beat is one autocommit statement: it publishes the cursor that was
applied *before*, and reads the changes that this cursor had not seen.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog

from app.db.connections import HeardConnection, connect, hanging_up_after, patience
from app.db.identifiers import random_id
from app.db.primary import HAS_STANDBY, IDENTITY, NoStandbyError, NotThePrimaryError, is_older
from app.snapshot.lease import Lease, Pace, boot_seconds
from app.snapshot.snapshots import TransactionSnapshot

CHANNEL: Final = "sceau_change"
_RETRY_SECONDS: Final = (0.05, 0.2, 0.5, 1.0)
log = structlog.get_logger("sceau.feed")

_REGISTER: Final = """
WITH gone AS (DELETE FROM replica WHERE id = %(old)s)
INSERT INTO replica (id, lease_ms, seen_at, about) VALUES (%(id)s, %(lease_ms)s, clock_timestamp(), %(about)s)
"""

_BEAT: Final = f"""
WITH beaten AS (
    UPDATE replica SET beat = beat + 1, applied = coalesce(%(cursor)s::pg_snapshot, applied),
        seen_at = clock_timestamp()
    WHERE id = %(id)s RETURNING beat
), news AS (
    SELECT kind, ref FROM change WHERE xid >= pg_snapshot_xmax(%(cursor)s::pg_snapshot)
    UNION ALL
    SELECT kind, ref FROM change WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip(%(cursor)s::pg_snapshot)))
    LIMIT %(limit)s
)
SELECT pg_current_snapshot()::text, (SELECT beat FROM beaten), clock_timestamp(),
    ARRAY(SELECT kind::text || ':' || encode(ref, 'hex') FROM news), {IDENTITY}, {HAS_STANDBY}
"""  # noqa: S608 - constants


class RowTakenAwayError(Exception):
    """This incarnation's row is gone: the replica that took it may have answered without waiting for it."""


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a beat: what the statement saw, when it ran, what had changed, and which server says so."""

    sent: float
    snapshot: TransactionSnapshot
    cursor: str
    clock: datetime
    changes: Sequence[tuple[int, bytes]]
    server: str


class Feed:
    """Runs until it is stopped; owns the lease.

    `server` is the identity of the server that answered the last beat of this incarnation, None before the first.
    `connected` is true from when a connection stands until it is given up: a replica that is connected and holds no
    lease waits for a beat that does not commit, and nothing proves that its server is the primary.

    `synchronous`: a beat counts only where commits wait for a standby, without which it proves no primary.

    Args of the callbacks: `drop(changes)` forgets the records that changed, `drop_all()` every record. Both return at
    once, and are called before the lease is extended. `lost()` tells that an incarnation that had beaten has ended.
    """

    def __init__(
        self,
        url: str,
        pace: Pace,
        *,
        drop: Callable[[Sequence[tuple[int, bytes]]], None],
        drop_all: Callable[[], None],
        lost: Callable[[], None],
        about: str,
        synchronous: bool = False,
    ) -> None:
        """Prepare; nothing is connected yet."""
        self.lease = Lease()
        self.incarnation: UUID | None = None
        self.beats = 0
        self.last_beat = 0.0
        self.database_ahead = 0.0
        self.server: str | None = None
        self.connected = False
        self._newest: str | None = None
        self._moved = asyncio.Event()
        self._url = url
        self._pace = pace
        self._drop = drop
        self._drop_all = drop_all
        self._lost = lost
        self._about = about
        self._synchronous = synchronous

    async def run(self) -> None:
        """Keep an incarnation alive, and begin another whenever one ends."""
        failures = 0
        while True:
            beats = self.beats
            try:
                await self._live()
            except Exception as error:  # noqa: BLE001 - whatever it is: a replica without its feed must try again
                self.lease.give_up()
                if self.beats > beats:
                    self._lost()
                failures = 0 if self.beats > beats + 1 else failures + 1
                log.warning("feed lost", cause=type(error).__name__, lived_beats=self.beats - beats)
            finally:
                self.lease.give_up()
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])

    def accepts(self, identity: str | None) -> bool:
        """Whether a server may be read and written now: the one of the last beat; without one, none that was replaced.

        A primary that was replaced stands on an earlier timeline than the one that replaced it.
        """
        if identity is None:
            return False
        if self.server is not None:
            return identity == self.server
        return self._newest is None or not is_older(identity, self._newest)

    async def settled(self) -> None:
        """Return when a lease is held, or nothing is connected; a beat that hangs ends both within a lease."""
        while self.connected and not self.lease.held():
            await self._moved.wait()

    def _move(self) -> None:
        """Wake whoever waits for the next beat or for the end of this incarnation."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def retire(self) -> None:
        """Give up the lease, then the row; never the other way round. Call it when `run` has been cancelled."""
        self.lease.give_up()
        gone, self.incarnation = self.incarnation, None
        if gone is None:
            return
        async with await connect(self._url, statement_seconds=self._pace.lease) as connection:
            await connection.execute("DELETE FROM replica WHERE id = %s", [gone])

    async def _live(self) -> None:
        """One incarnation: connect, listen, register, and beat until something fails."""
        async with asyncio.timeout(patience(self._url)):
            connection = await connect(self._url, statement_seconds=self._pace.lease, accepts=self.accepts)
        try:
            self.connected = True
            with hanging_up_after(connection, max(2.0, self._pace.lease)):
                await self._begin(connection)
            cursor: str | None = None
            while True:
                cursor = await self._step(connection, cursor)
        finally:
            self.lease.give_up()
            self.server, self.connected = None, False
            self._move()
            # Not `close()`: a connection that hangs must not keep this task from beginning anew.
            connection.pgconn.finish()

    async def _begin(self, connection: HeardConnection) -> None:
        await connection.execute(f"LISTEN {CHANNEL}")
        incarnation = random_id()
        row = {
            "id": incarnation,
            "old": self.incarnation,
            "lease_ms": int(self._pace.lease * 1000),
            "about": self._about,
        }
        await connection.execute(_REGISTER, row)
        self.incarnation = incarnation

    async def _step(self, connection: HeardConnection, cursor: str | None) -> str:
        """One beat and what follows from it; the new cursor."""
        beat = await self._beat(connection, cursor)
        # From here to the extension of the lease nothing is awaited.
        ahead = beat.clock.timestamp() - beat.sent
        set_back = ahead < self.database_ahead - self._pace.lease  # what was judged by the clock as it was is no good
        if cursor is None or set_back or len(beat.changes) > self._pace.row_limit:
            self._drop_all()
        else:
            self._drop(beat.changes)
        self.database_ahead = ahead
        self.last_beat = beat.sent
        self.server = self._newest = beat.server
        self.lease.extend(beat.sent, self._pace.lease)
        self.beats += 1
        self._move()
        if not beat.changes and cursor is not None:
            async for _ in connection.notifies(timeout=self._pace.heartbeat, stop_after=1):
                pass
        return beat.cursor

    async def _beat(self, connection: HeardConnection, cursor: str | None) -> Beat:
        sent = boot_seconds()
        values = {"id": self.incarnation, "cursor": cursor, "limit": self._pace.row_limit + 1}
        connection.warned = False
        with hanging_up_after(connection, self._pace.lease):
            answer = await connection.execute(_BEAT, values)
            row = await answer.fetchone()
        if row is None or row[1] is None:
            raise RowTakenAwayError
        if row[4] is None or connection.warned or row[4] != (self.server or row[4]):
            raise NotThePrimaryError  # a standby, a commit that no standby has seen, or another timeline
        if self._synchronous and not row[5]:
            raise NoStandbyError
        changes = [(int(kind), bytes.fromhex(ref)) for kind, _, ref in (each.partition(":") for each in row[3])]
        return Beat(sent, TransactionSnapshot.parse(row[0]), row[0], row[2], changes, row[4])
