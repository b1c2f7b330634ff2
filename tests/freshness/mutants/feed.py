"""The feed and its rows in the database, each mechanism switched off (`tests.freshness.mutants`)."""

from uuid import UUID, uuid4

from sqlalchemy import delete

import app.snapshot.feed as feed_module
from app.db.connections import connect
from app.snapshot import tables as upkeep
from app.snapshot.feed import CHANGE_CHANNEL, Beat, Feed, TransactionSnapshot
from app.snapshot.leases import boot_seconds
from app.snapshot.replica import Replica
from app.snapshot.tables import replica
from tests.freshness.gate import PAUSE


def no_invalidation(patch):
    """The feed says what changed, and the replica does not forget it."""
    make = Feed.__init__

    def deaf(self: Feed, *args, **named):
        make(self, *args, **{**named, "drop": lambda _: None})

    patch(Feed, "__init__", deaf)


def lease_before_drops(patch):
    """The lease is extended, and what changed is forgotten a moment later."""

    async def step(self: Feed, connection, cursor: str | None):
        beat = await self._beat(connection, cursor)
        self._serve_from(beat.server)
        self.lease.extend(beat.sent, self._pace.lease)
        await PAUSE.pass_through()
        _forget(self, beat, cursor)
        return await _rest_of_step(self, connection, cursor, beat)

    patch(Feed, "_step", step)


def not_cleared_on_registration(patch):
    """A new incarnation goes on with what the one before it held."""

    async def step(self: Feed, connection, cursor: str | None):
        beat = await self._beat(connection, cursor)
        if cursor is not None:
            _forget(self, beat, cursor)
        self._serve_from(beat.server)
        self.lease.extend(beat.sent, self._pace.lease)
        return await _rest_of_step(self, connection, cursor, beat)

    patch(Feed, "_step", step)


def _forget(feed: Feed, beat: Beat, cursor: str | None):
    if cursor is None or len(beat.changes) > feed._pace.row_limit:
        feed._drop_all()
    else:
        feed._drop(beat.changes)


async def _rest_of_step(feed: Feed, connection, cursor: str | None, beat: Beat):
    feed.database_ahead = beat.clock.timestamp() - beat.sent
    feed.beats += 1
    if not beat.changes and cursor is not None:
        async for _ in connection.notifies(timeout=feed._pace.heartbeat, stop_after=1):
            pass
    return beat.cursor


def lease_before_registration(patch):
    """A lease is taken before the row that makes writers wait for it is inserted."""
    begin = Feed._begin

    async def early(self: Feed, connection):
        self._serve_from(connection.server)
        self.lease.extend(boot_seconds(), self._pace.lease)
        await PAUSE.pass_through()
        await begin(self, connection)

    patch(Feed, "_begin", early)


def publishing_ahead(patch):
    """A beat publishes the snapshot that it is only now reading."""
    _change_beat(patch, "coalesce(%(applied)s::pg_snapshot, applied)", "pg_current_snapshot()")


def sequence_number(patch):
    """The cursor is the highest number seen: what commits later under a lower one is never read."""
    highest = (
        "(SELECT n || ':' || n || ':' FROM (SELECT coalesce(max(xid::text::bigint), 3) + 1 AS n FROM change) AS l)"
    )
    _change_beat(patch, "SELECT pg_current_snapshot()::text", f"SELECT {highest}")


def _change_beat(patch, what, by):
    assert what in feed_module.BEAT
    patch(feed_module, "BEAT", feed_module.BEAT.replace(what, by))


def cursor_after_read(patch):
    """The cursor is taken in a statement of its own, after the changes were read."""
    beat = Feed._beat

    async def late(self: Feed, connection, cursor: str | None):
        read = await beat(self, connection, cursor)
        await PAUSE.pass_through()
        row = await (await connection.execute("SELECT pg_current_snapshot()::text")).fetchone()
        return Beat(read.sent, TransactionSnapshot.parse(row[0]), row[0], read.clock, read.changes, read.server)

    patch(Feed, "_beat", late)


def frozen_transaction(patch):
    """The feed beats inside one long transaction with one snapshot."""
    begin = Feed._begin

    async def once(self: Feed, connection):
        await begin(self, connection)
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")

    patch(Feed, "_begin", once)


def one_id_for_all_incarnations(patch):
    """A process keeps its id when it begins anew."""
    ids: dict[int, UUID] = {}
    patch(Feed, "_begin", _begin_with(lambda feed: ids.setdefault(id(feed), uuid4())))


def one_id_for_two_processes(patch):
    """All processes say that they are the same one."""
    same = UUID(int=1)
    patch(Feed, "_begin", _begin_with(lambda _: same))


def _begin_with(identify):
    async def begin(self: Feed, connection):
        await connection.execute(f"LISTEN {CHANGE_CHANNEL}")
        incarnation = identify(self)
        await connection.execute(
            "INSERT INTO replica (id, lease_ms, seen_at, about) VALUES (%s, %s, clock_timestamp(), 'same')"
            " ON CONFLICT (id) DO UPDATE SET beat = 0, applied = NULL",
            [incarnation, int(self._pace.lease * 1000)],
        )
        self.incarnation = incarnation

    return begin


def row_deleted_first(patch):
    """A graceful stop takes its row away, and then stops deciding."""
    stop = Replica.stop

    async def backwards(self: Replica):
        async with await connect(self._plan.feed_url, statement_seconds=2) as connection:
            await connection.execute("DELETE FROM replica WHERE id = %s", [self.feed.incarnation])
        await PAUSE.pass_through()
        await stop(self)

    patch(Replica, "stop", backwards)


def janitor_ignores_the_beat(patch):
    """A row that was seen once is taken away a lease later, whether it beat or not."""

    async def take_away(database, _):
        for identifier in await upkeep._beats(database):
            async with database.write() as session:
                await session.execute(delete(replica).where(replica.c.id == identifier))

    patch(upkeep, "take_away_dead", take_away)


def peek_forgets_nothing(patch):
    """A peek moves the cursor and is acknowledged, and nothing is forgotten."""
    patch(Feed, "_between_beats", _acknowledging_first())


def acknowledged_before_forgetting(patch):
    """What a peek read is acknowledged, and forgotten a moment later."""

    async def late(feed: Feed, senders, read: Beat):
        if senders != {feed.incarnation}:  # a writer that waits here would not hear what it is told
            await PAUSE.pass_through()
        feed._forget(read)

    patch(Feed, "_between_beats", _acknowledging_first(late))


def _acknowledging_first(then=None):
    async def between(self: Feed, connection, read: Beat):
        due = read.sent + self._pace.heartbeat
        while senders := await self._heard(connection, due):
            read = await self._peek(connection, read.cursor)
            await self._acknowledge(connection, senders, read)
            if then is not None:
                await then(self, senders, read)
        return read.cursor

    return between


def peek_earns_a_lease(patch):
    """A peek extends the lease, though nothing shows that the row is still there."""
    peek = Feed._peek

    async def earning(self: Feed, connection, cursor: str):
        read = await peek(self, connection, cursor)
        self.lease.extend(read.sent, self._pace.lease)
        return read

    patch(Feed, "_peek", earning)
