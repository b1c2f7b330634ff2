"""The feed: the connection on which a replica reads changes, reports what it has applied, and earns its lease.

docs/freshness.md gives the protocol step by step; the order of the steps here is essential to it. Each incarnation (one
connection) registers under an id of its own. A beat is one autocommit statement: it publishes the cursor that was
applied *before* it, and reads the changes that this cursor had not seen. Between beats, a writer that has committed
wakes the replica, which peeks (reads the new changes and writes nothing), forgets, and notifies the writer. A peek
earns no lease.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self
from uuid import UUID

import psycopg
import structlog

from app.db.connections import (
    HAS_STANDBY,
    IDENTITY,
    HeardConnection,
    KnownPrimary,
    NoStandbyError,
    NotThePrimaryError,
    connect,
    hanging_up_after,
    patience,
)
from app.db.database import RestoredBehindError
from app.db.session import random_id
from app.journal.journal import Chores, Fence
from app.snapshot.leases import Lease, Leaves, boot_seconds

# An acknowledgement travels as a notification on a channel that only the writer's own feed listens to. Losing one costs
# only time: the replica's row says the same at its next beat.


@dataclass(frozen=True, slots=True)
class TransactionSnapshot:
    """A parsed `xmin:xmax:xip`: it sees every xid below xmin, none from xmax on, and none in xip."""

    xmin: int
    xmax: int
    running: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> "TransactionSnapshot":
        """Parse PostgreSQL's text form, such as `10:20:10,14`.

        Raises:
            ValueError: the text is not of that form.

        """
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(int(xid) for xid in running.split(",") if xid))

    def shows(self, xid: int) -> bool:
        """Return whether the snapshot sees a transaction that has committed (`pg_visible_in_snapshot`)."""
        return xid < self.xmin or (xid < self.xmax and xid not in self.running)


CHANGE_CHANNEL: Final = "sceau_change"
"""The channel on which a writer announces a commit, with the incarnation to notify in return, or with nothing."""
_LONGEST: Final = 7_500
"""The maximum number of characters of a notification: PostgreSQL takes fewer than 8,000 bytes."""


def channel_of(incarnation: UUID) -> str:
    """Return the channel on which an incarnation hears what other replicas have applied."""
    return f"sceau_applied_{incarnation.hex}"


def named(payload: str) -> UUID | None:
    """Return the incarnation that a notification on `CHANGE_CHANNEL` names, or None if it names none."""
    try:
        return UUID(payload)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class ReplicaAcknowledgement:
    """Says that an incarnation has applied all that a snapshot of one server shows.

    `server` is that server's identity (`app.db.connections`). Each server numbers its own transactions, so the
    acknowledgement means nothing for another server.
    """

    incarnation: UUID
    snapshot: TransactionSnapshot
    server: str

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Parse what an incarnation sent; return None for other text, since any database role may notify."""
        try:
            incarnation, snapshot, server = text.split(" ", 2)
            return cls(UUID(incarnation), TransactionSnapshot.parse(snapshot), server)
        except ValueError:
            return None


# The statements of a feed, the parsed answers (docs/freshness.md, "One beat"), and the lease that they earn.


PROTOCOL = 1
"""The version of the freshness protocol (docs/freshness.md) that this code speaks.

Raise it when older code, running beside this, could give stale answers: the first process that speaks the new version
then keeps older code from starting.
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of the freshness protocol, in seconds, and the most changes that one beat takes."""

    lease: float = 2.0
    heartbeat: float = 0.25
    margin: float = 0.5
    row_limit: int = 5_000


@dataclass(frozen=True, slots=True)
class ReplicaPlan:
    """How this process takes part: the feed's own DSN (not through a pooler), its pace, and how much it holds.

    `fence` refuses a server that was set back, so no lease is held there. `synchronous` says whether the deployment's
    commits wait for a standby.
    """

    feed_url: str
    pace: Pace
    subjects: int
    about: str
    fence: Fence
    synchronous: bool = False


SHORTEST_LEASE = 0.1
LONGEST_LEASE = 10.0
"""Bounds of the lease, in seconds. All processes of a deployment use one length, which bounds how long writers wait."""


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

_CHORES: Final = """concat_ws(' ', (SELECT max(number) FROM deployment_epoch),
    (SELECT id FROM journal_note ORDER BY number DESC LIMIT 1),
    (SELECT string_agg(name, ',' ORDER BY name) FROM key_check WHERE name ^@ 'set back ')),
    EXISTS (SELECT FROM journal_note WHERE line IS NOT NULL AND put_at < clock_timestamp() - interval '10 seconds'),
    EXISTS (SELECT FROM replica WHERE seen_at < clock_timestamp() - make_interval(secs => %(lease)s)),
    EXISTS (SELECT FROM change)"""
"""The columns that make up `app.journal.journal.Chores`."""

BEAT: Final = f"""
WITH beaten AS (
    UPDATE replica SET beat = beat + 1, applied = coalesce(%(applied)s::pg_snapshot, applied),
        seen_at = clock_timestamp()
    WHERE id = %(id)s RETURNING beat
), {_NEWS}
SELECT {_SEEN}, (SELECT beat FROM beaten), {HAS_STANDBY}, {_CHORES}
"""  # noqa: S608 - constants
"""Publishes the applied cursor, reads the changes that the cursor had not seen, and reads which chores are due."""

PEEK: Final = f"WITH {_NEWS} SELECT {_SEEN}"
"""Reads the changes that the cursor had not seen. It writes nothing, so it does not prove that this is the primary."""

ACKNOWLEDGE: Final = """
SELECT set_config('synchronous_commit', 'off', true), count(pg_notify(channel, %(said)s))
FROM unnest(%(channels)s::text[]) AS channel
"""
"""Notifies writers of what was applied. Its commit waits for nothing, because it need not survive a crash."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What a beat or a peek read: when it was sent, the snapshot, the database's clock, the changes, and the server."""

    sent: float
    snapshot: TransactionSnapshot
    cursor: str
    clock: datetime
    changes: Sequence[tuple[int, bytes]]
    server: str | None

    @classmethod
    def of(cls, sent: float, row: Sequence[Any]) -> Self:
        """Build it from the first columns of an answer."""
        snapshot, clock, news, server = row[:4]
        changes = [(int(kind), bytes.fromhex(ref)) for kind, _, ref in (each.partition(":") for each in news)]
        return cls(sent, TransactionSnapshot.parse(snapshot), snapshot, clock, changes, server)


# The notifier wakes the feeds of other replicas after a commit, by a coalesced NOTIFY on its own connection. It never
# notifies in the write's own transaction: there a NOTIFY takes a lock that makes all commits of the database queue.
# Losing a notification costs one heartbeat, nothing else.

_COALESCED_SECONDS: Final = 0.002
_NOTIFY_AGAIN_SECONDS: Final = 0.5
_STATEMENT_SECONDS: Final = 2.0
_NOTIFY: Final = "SELECT pg_notify(%s, sender) FROM unnest(%s::text[]) AS sender"


class Notifier:
    """Sends at most one NOTIFY every few milliseconds, however often it is poked."""

    def __init__(self, url: str) -> None:
        """Prepare; nothing is connected yet."""
        self._url = url
        self._poked = asyncio.Event()
        self._senders: set[str] = set()

    def poke(self, sender: UUID | None) -> None:
        """Announce a commit that replicas must learn of.

        Args:
            sender: the incarnation to notify once they have applied it; None if the writer looks at their rows instead.

        """
        self._senders.add("" if sender is None else sender.hex)
        self._poked.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            try:
                async with await connect(self._url, statement_seconds=_STATEMENT_SECONDS) as connection:
                    with hanging_up_after(connection, _STATEMENT_SECONDS):
                        await connection.execute("SET synchronous_commit = off")
                    await self._send(connection)
            except (psycopg.Error, OSError):
                await asyncio.sleep(_NOTIFY_AGAIN_SECONDS)

    async def _send(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            await self._poked.wait()
            self._poked.clear()
            senders, self._senders = self._senders, set()
            with hanging_up_after(connection, _STATEMENT_SECONDS):
                await connection.execute(_NOTIFY, [CHANGE_CHANNEL, list(senders)])
            await asyncio.sleep(_COALESCED_SECONDS)


_LEAF_SECONDS: Final = 0.02
"""The longest that a beat or an acknowledgement waits for leaves; beyond that, the writer watches the row instead."""
_RETRY_SECONDS: Final = (0.05, 0.2, 0.5, 1.0)
log = structlog.get_logger("sceau.feed")


class RowTakenAwayError(Exception):
    """This incarnation's row is gone: the replica that deleted it may have answered writes without waiting for it."""


class Feed:
    """Keeps this replica's connection alive and owns its lease; runs until it is stopped.

    `connected` is true while a connection stands. A replica that is connected and holds no lease is waiting for a beat
    that does not commit, so nothing proves that its server is the primary. `tried` is set once a first lease was
    earned, or a first incarnation has ended without one.

    If the plan is `synchronous`, a beat counts only where commits wait for a standby, without which it proves no
    primary.

    Args of the callbacks: `drop(changes)` forgets the records that changed, `drop_all()` forgets every record. Both
    return at once, and are called before the lease is extended. `lost()` is called when an incarnation that had beaten
    has ended. `acknowledged` is called with each acknowledgement that another replica sends for this process's writes.
    """

    def __init__(
        self,
        plan: ReplicaPlan,
        *,
        drop: Callable[[Sequence[tuple[int, bytes]]], None],
        drop_all: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        """Prepare; nothing is connected yet."""
        self.lease = Lease()
        self.leaves = Leaves()
        self.incarnation: UUID | None = None
        self.beats = 0
        self.last_beat = 0.0
        self.database_ahead = 0.0
        self.primary = KnownPrimary()
        self.connected = False
        self.hangs = False  # whether the last incarnation reached a server, but none of its beats committed
        self._committed = False
        self.acknowledged: Callable[[ReplicaAcknowledgement], None] = lambda _: None
        self.tried = asyncio.Event()
        # Cursors applied here, each with the number of the last change sent to leaves by then: a cursor is published
        # once the leaves have forgotten that change too.
        self._read: deque[tuple[int, str]] = deque()
        self._applied: str | None = None
        self._moved = asyncio.Event()
        self.turned = asyncio.Event()  # set, and replaced, when an incarnation has its first beat, and when it ends
        self._plan = plan
        self._url = plan.feed_url
        self._pace = plan.pace
        self._fence = plan.fence
        self._drop = drop
        self._drop_all = drop_all
        self._lost = lost

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
                self.tried.set()
            await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])

    @property
    def server(self) -> str | None:
        """The identity of the server that answered this incarnation's last beat; None before the first beat."""
        return self.primary.server

    def give_up(self) -> None:
        """End this process's lease and those of its leaves."""
        self.lease.give_up()
        self.leaves.revoke()

    async def settled(self) -> None:
        """Wait until a lease is held or nothing is connected. A beat that hangs loses its connection within a lease."""
        while self.connected and not self.lease.held():
            await self._moved.wait()

    def _move(self) -> None:
        """Wake the tasks that wait for the next beat or for the end of this incarnation."""
        self._moved.set()
        self._moved = asyncio.Event()

    def _serve_from(self, server: str | None) -> None:
        """Note the server that beats come from; None: from no server, as this incarnation has ended."""
        if (self.server is None) != (server is None):
            self.turned.set()
            self.turned = asyncio.Event()
        self.primary.beats_from(server)

    async def retire(self) -> None:
        """Give up the lease, then delete the row, never in the other order. Call this once `run` has been cancelled."""
        self.give_up()
        await self.leaves.released()
        gone, self.incarnation = self.incarnation, None
        if gone is None:
            return
        async with await connect(self._url, statement_seconds=self._pace.lease) as connection:
            await connection.execute("DELETE FROM replica WHERE id = %s", [gone])

    async def _live(self) -> None:
        """Run one incarnation: connect, listen, register, and beat until something fails."""
        await self.leaves.released()  # before the row by which writers wait for them is deleted
        async with asyncio.timeout(patience(self._url)):
            connection = await connect(self._url, statement_seconds=self._pace.lease, accepts=self.primary.accepts)
        try:
            self.connected, self._committed = True, False
            with hanging_up_after(connection, max(2.0, self._pace.lease)):
                await self._begin(connection)
            if connection.server is not None:  # a standby has none here; the first beat rejects it
                await self._fence.admit(connection.server)
            cursor = self._applied = None
            self._read.clear()
            while True:
                cursor = await self._step(connection, cursor)
        finally:
            self.give_up()
            self._fence.pulse.beat(None)
            self._serve_from(None)
            self.connected, self.hangs = False, not self._committed
            self._move()
            # Not `close()`: a connection that hangs must not keep this task from beginning anew.
            connection.pgconn.finish()

    async def _begin(self, connection: HeardConnection) -> None:
        incarnation = random_id()
        await connection.execute(f"LISTEN {CHANGE_CHANNEL}")
        await connection.execute(f"LISTEN {channel_of(incarnation)}")
        row = {
            "id": incarnation,
            "old": self.incarnation,
            "lease_ms": int(self._pace.lease * 1000),
            "about": self._plan.about,
        }
        await connection.execute(REGISTER, row)
        self.incarnation = incarnation

    async def _step(self, connection: HeardConnection, cursor: str | None) -> str:
        """Send one beat, apply its answer, and serve writers until the next beat is due; return the new cursor."""
        beat = await self._beat(connection, cursor)
        if self._fence.behind:
            raise RestoredBehindError
        # From here to the extension of the lease nothing is awaited.
        ahead = beat.clock.timestamp() - beat.sent
        set_back = ahead < self.database_ahead - self._pace.lease  # what was judged by the earlier clock is void
        if cursor is None or set_back:
            self._drop_all()
        else:
            self._forget(beat)
        self.database_ahead = ahead
        self.last_beat = beat.sent
        self._serve_from(beat.server)
        self.lease.extend(beat.sent, self._pace.lease)
        self.leaves.grant(self.lease.end)
        self.beats += 1
        self.tried.set()
        self._move()
        if beat.changes or cursor is None:
            return beat.cursor  # it is published at once
        return await self._between_beats(connection, beat)

    def _forget(self, read: Beat) -> None:
        """Forget the records that a beat or a peek reports as changed."""
        if len(read.changes) > self._pace.row_limit:
            self._drop_all()
        else:
            self._drop(read.changes)

    async def _between_beats(self, connection: HeardConnection, read: Beat) -> str:
        """Until a beat is due, at each commit read, forget, and only then notify the writer; return the new cursor."""
        due = read.sent + self._pace.heartbeat
        while senders := await self._heard(connection, due):
            read = await self._peek(connection, read.cursor)
            self._forget(read)
            if not await self._acknowledge(connection, senders, read):
                break
        return read.cursor

    async def _heard(self, connection: HeardConnection, due: float) -> set[UUID | None]:
        """Return the incarnations that committed and want notice (None: an unnamed one); empty once a beat is due."""
        senders: set[UUID | None] = set()
        while not senders and (left := due - boot_seconds()) > 0:
            async for notice in connection.notifies(timeout=left, stop_after=1):
                if notice.channel != CHANGE_CHANNEL:
                    if (acknowledgement := ReplicaAcknowledgement.read(notice.payload)) is not None:
                        self.acknowledged(acknowledgement)
                else:
                    # This replica's own too: what it changed is dropped once more, and better now than after it was
                    # read again.
                    senders.add(named(notice.payload))
        return senders

    async def _peek(self, connection: HeardConnection, cursor: str) -> Beat:
        sent = boot_seconds()
        with hanging_up_after(connection, self._pace.lease):
            answer = await connection.execute(PEEK, {"cursor": cursor, "limit": self._pace.row_limit + 1})
            row = await answer.fetchone()
        if row is None or row[3] != self.server:
            raise NotThePrimaryError
        return Beat.of(sent, row)

    async def _acknowledge(self, connection: HeardConnection, senders: Collection[UUID | None], read: Beat) -> bool:
        """Notify the senders of what was applied; return False if one of them must read this replica's row instead."""
        if self.incarnation is None or self.server is None:
            return False
        if not await self.leaves.forgotten(self.leaves.number, seconds=_LEAF_SECONDS):
            return False  # the row will say so once the leaves have forgotten, or can no longer decide
        text = f"{self.incarnation.hex} {read.cursor} {self.server}"  # as `ReplicaAcknowledgement.read` takes it
        if len(text) >= _LONGEST:
            return False
        channels = [channel_of(sender) for sender in senders if sender not in {None, self.incarnation}]
        if channels:
            with hanging_up_after(connection, self._pace.lease):
                await connection.execute(ACKNOWLEDGE, {"channels": channels, "said": text})
        return None not in senders

    async def _applied_everywhere(self, cursor: str | None) -> str | None:
        """Wait a moment for the leaves to apply this cursor; return the newest cursor that all of them have applied."""
        if cursor is not None:
            self._read.append((self.leaves.number, cursor))
        await self.leaves.forgotten(self.leaves.number, seconds=_LEAF_SECONDS)
        while self._read and self.leaves.have_forgotten(self._read[0][0]):
            _, self._applied = self._read.popleft()
        return self._applied

    async def _beat(self, connection: HeardConnection, cursor: str | None) -> Beat:
        """Publish what was applied, this cursor last, and read the changes that it had not seen."""
        applied = await self._applied_everywhere(cursor)
        sent = boot_seconds()
        values = {
            "id": self.incarnation,
            "cursor": cursor,
            "applied": applied,
            "limit": self._pace.row_limit + 1,
            "lease": self._pace.lease,
        }
        connection.warned = False
        with hanging_up_after(connection, self._pace.lease):
            answer = await connection.execute(BEAT, values)
            row = await answer.fetchone()
        if row is None or row[4] is None:
            raise RowTakenAwayError
        beat = Beat.of(sent, row)
        if beat.server is None or connection.warned or beat.server != (self.server or beat.server):
            raise NotThePrimaryError  # a standby, a commit that no standby has seen, or another timeline
        if self._plan.synchronous and not row[5]:
            raise NoStandbyError
        self._committed, self.hangs = True, False
        self._fence.pulse.beat(Chores(*row[6:]))
        return beat
