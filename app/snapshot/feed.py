"""The feed: one connection on which a replica reads what changed, says what it has applied, and earns its lease.

docs/freshness.md gives the protocol step by step; the order of the steps here is its substance. Each incarnation (one
connection) registers under an id of its own. A beat is one autocommit statement: it publishes the cursor that was
applied *before*, and reads the changes that this cursor had not seen. Between beats, a writer that has committed wakes
the replica: it peeks (reads what is new and writes nothing), forgets, and tells the writer. A peek earns no lease.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final
from uuid import UUID

import psycopg
import structlog

from app.db.connections import HeardConnection, connect, hanging_up_after, patience
from app.db.database import RestoredBehindError
from app.db.identifiers import random_id
from app.db.primary import NoStandbyError, NotThePrimaryError, is_older
from app.journal.fence import Fence
from app.snapshot.acknowledgement import CHANGE_CHANNEL, ReplicaAcknowledgement, acknowledgement_text, channel_of, named
from app.snapshot.beats import ACKNOWLEDGE, BEAT, PEEK, REGISTER, Beat, Lease, Pace, boot_seconds

# Wakes the feeds of other replicas after a commit: a NOTIFY on a connection of its own, coalesced.
# Never in the write's own transaction: there a NOTIFY takes a lock that makes all commits of the database queue.
# Losing one costs a heartbeat, nothing else.

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
        """Something was committed that replicas want to know.

        Args:
            sender: the incarnation that is to be told when they know it; None where their rows are to say so.

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


_RETRY_SECONDS: Final = (0.05, 0.2, 0.5, 1.0)
log = structlog.get_logger("sceau.feed")


class RowTakenAwayError(Exception):
    """This incarnation's row is gone: the replica that took it may have answered without waiting for it."""


class Feed:
    """Runs until it is stopped; owns the lease.

    `server` is the identity of the server that answered the last beat of this incarnation, None before the first.
    `connected` is true from when a connection stands until it is given up: a replica that is connected and holds no
    lease waits for a beat that does not commit, and nothing proves that its server is the primary.

    `synchronous`: a beat counts only where commits wait for a standby, without which it proves no primary.

    Args of the callbacks: `drop(changes)` forgets the records that changed, `drop_all()` every record. Both return at
    once, and are called before the lease is extended. `lost()` tells that an incarnation that had beaten has ended.
    `fence` admits no server that was set back: no lease is held there. `acknowledged` is called with what other
    replicas tell this process's writes.
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
        fence: Fence,
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
        self.acknowledged: Callable[[ReplicaAcknowledgement], None] = lambda _: None
        self._newest: str | None = None
        self._moved = asyncio.Event()
        self._url = url
        self._pace = pace
        self._drop = drop
        self._drop_all = drop_all
        self._lost = lost
        self._about = about
        self._fence = fence
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
            if connection.server is not None:  # of a standby the first beat makes an error
                await self._fence.admit(connection.server)
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
        incarnation = random_id()
        await connection.execute(f"LISTEN {CHANGE_CHANNEL}")
        await connection.execute(f"LISTEN {channel_of(incarnation)}")
        row = {
            "id": incarnation,
            "old": self.incarnation,
            "lease_ms": int(self._pace.lease * 1000),
            "about": self._about,
        }
        await connection.execute(REGISTER, row)
        self.incarnation = incarnation

    async def _step(self, connection: HeardConnection, cursor: str | None) -> str:
        """One beat and what follows from it, until the next one is due; the new cursor."""
        beat = await self._beat(connection, cursor)
        if self._fence.behind:
            raise RestoredBehindError
        # From here to the extension of the lease nothing is awaited.
        ahead = beat.clock.timestamp() - beat.sent
        set_back = ahead < self.database_ahead - self._pace.lease  # what was judged by the clock as it was is no good
        if cursor is None or set_back:
            self._drop_all()
        else:
            self._forget(beat)
        self.database_ahead = ahead
        self.last_beat = beat.sent
        self.server = self._newest = beat.server
        self.lease.extend(beat.sent, self._pace.lease)
        self.beats += 1
        self._move()
        if beat.changes or cursor is None:
            return beat.cursor  # what was applied is published at once
        return await self._between_beats(connection, beat)

    def _forget(self, read: Beat) -> None:
        """Forget what a beat or a peek says has changed."""
        if len(read.changes) > self._pace.row_limit:
            self._drop_all()
        else:
            self._drop(read.changes)

    async def _between_beats(self, connection: HeardConnection, read: Beat) -> str:
        """When somebody has committed: read, forget, and only then tell them. The new cursor, once a beat is due."""
        due = read.sent + self._pace.heartbeat
        while senders := await self._heard(connection, due):
            read = await self._peek(connection, read.cursor)
            self._forget(read)
            if not await self._acknowledge(connection, senders, read):
                break
        return read.cursor

    async def _heard(self, connection: HeardConnection, due: float) -> set[UUID | None]:
        """Who has committed and wants to be told, by incarnation; None for one without a name. Empty: a beat is due."""
        senders: set[UUID | None] = set()
        while not senders and (left := due - boot_seconds()) > 0:
            async for notice in connection.notifies(timeout=left, stop_after=1):
                if notice.channel != CHANGE_CHANNEL:
                    self._told(notice.payload)
                else:
                    # Its own as well: what it changed is dropped once more, and better now than after it is read again.
                    senders.add(named(notice.payload))
        return senders

    def _told(self, payload: str) -> None:
        if (told := ReplicaAcknowledgement.read(payload)) is not None:
            self.acknowledged(told)

    async def _peek(self, connection: HeardConnection, cursor: str) -> Beat:
        sent = boot_seconds()
        with hanging_up_after(connection, self._pace.lease):
            answer = await connection.execute(PEEK, {"cursor": cursor, "limit": self._pace.row_limit + 1})
            row = await answer.fetchone()
        if row is None or row[3] != self.server:
            raise NotThePrimaryError
        return Beat.of(sent, row)

    async def _acknowledge(self, connection: HeardConnection, senders: Collection[UUID | None], read: Beat) -> bool:
        """Tell the senders what was applied; false where one of them can only see it in this replica's row."""
        if self.incarnation is None or self.server is None:
            return False
        said = acknowledgement_text(self.incarnation, read.cursor, self.server)
        channels = [channel_of(sender) for sender in senders if sender not in {None, self.incarnation}]
        if said is None:
            return False
        if channels:
            with hanging_up_after(connection, self._pace.lease):
                await connection.execute(ACKNOWLEDGE, {"channels": channels, "said": said})
        return None not in senders

    async def _beat(self, connection: HeardConnection, cursor: str | None) -> Beat:
        sent = boot_seconds()
        values = {"id": self.incarnation, "cursor": cursor, "limit": self._pace.row_limit + 1}
        connection.warned = False
        with hanging_up_after(connection, self._pace.lease):
            answer = await connection.execute(BEAT, values)
            row = await answer.fetchone()
        if row is None or row[4] is None:
            raise RowTakenAwayError
        beat = Beat.of(sent, row)
        if beat.server is None or connection.warned or beat.server != (self.server or beat.server):
            raise NotThePrimaryError  # a standby, a commit that no standby has seen, or another timeline
        if self._synchronous and not row[5]:
            raise NoStandbyError
        return beat
