"""Which replicas a narrowing write waits for, and for how long; and what transaction snapshots show."""

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

import app.snapshot.writer as confirm_module
from app.db.connections import IDENTITY
from app.db.database import Database, DatabaseUnavailableError
from app.db.session import INSTANT, ChangeKind, Committing
from app.journal.journal import Journal, JournalPlan
from app.snapshot.feed import Pace, ReplicaAcknowledgement, TransactionSnapshot, channel_of
from app.snapshot.leases import Leaves
from app.snapshot.writer import Confirmer, Writer
from app.wiring.parts import wall_clock
from tests.freshness.gate import Gate, until
from tests.freshness.sites import play
from tests.support.databases import administrator_url

A, B, OWN = UUID(int=1), UUID(int=2), UUID(int=3)
BEFORE, AFTER = TransactionSnapshot.parse("100:100:"), TransactionSnapshot.parse("101:101:")
XID = 100


class Rows:
    """A confirmer over rows that a test sets, and a clock that it moves."""

    def __init__(self, monkeypatch):
        self.rows: dict[UUID, TransactionSnapshot | None] = {A: BEFORE}
        self.now, self.readings, self.gate, self.error, self.server = 0.0, 0, Gate(), None, "here"
        replica: Any = SimpleNamespace(feed=SimpleNamespace(incarnation=OWN))
        self.confirmer = Confirmer(Database("postgresql://nobody@localhost/none"), replica, longest=10)
        monkeypatch.setattr(self.confirmer, "_rows", self._read)
        monkeypatch.setattr(confirm_module, "boot_seconds", lambda: self.now)

    async def _read(self):
        rows = dict(self.rows)
        self.readings += 1
        await self.gate.pass_through()
        if self.error is not None:
            raise self.error
        return rows, self.server

    def confirm(self, *, own_forgot=True):
        """A write committed at zero on the server `here` that waits."""
        return asyncio.create_task(self.confirmer.confirm(XID, 0.0, own_forgot=own_forgot, server="here"))

    async def still(self, waiting):
        """Rows are read once more from beginning to end, and a write still waits."""
        goal = self.readings + 2
        await until(lambda: self.readings >= goal)
        assert not waiting.done()

    async def waiting(self):
        """A write that waits although the rows were read."""
        begun = self.confirm()
        await self.still(begun)
        return begun

    @property
    def ended(self):
        """How many writes were answered by notice, and by deadline."""
        return self.confirmer.by_notice, self.confirmer.by_deadline


@pytest.fixture
async def opened(database):
    """The database, as a service opens it."""
    made = Database(database.app_url)
    yield made
    await made.close()


@pytest.fixture
async def rows(monkeypatch):
    """The row of one replica, which has applied nothing yet."""
    return Rows(monkeypatch)


async def test_it_waits_until_every_replica_has_applied(rows):
    """A write waits for a replica that published nothing and for one that published too little."""
    rows.rows = {A: None, B: BEFORE}
    waiting = await rows.waiting()
    rows.rows[A] = AFTER
    await rows.still(waiting)
    rows.rows[B] = AFTER
    await waiting
    assert rows.ended == (1, 0)


async def test_a_row_that_is_gone_is_not_waited_for(rows):
    """A write stops waiting for a replica whose row is gone, because it stopped, was taken away or began anew."""
    waiting = await rows.waiting()
    del rows.rows[A]
    await waiting
    assert rows.ended == (1, 0)


async def test_a_replica_that_registers_later_is_not_waited_for(rows):
    """A write does not wait for a replica that registers after the commit, because it starts with an empty memory."""
    waiting = await rows.waiting()
    rows.rows = {A: AFTER, B: None}
    await waiting
    assert rows.ended == (1, 0)


async def test_the_deadline_ends_the_wait(rows):
    """A write that a replica never applies is answered after the longest lease and the margin, and not before."""
    waiting = rows.confirm()
    rows.now = 9.99
    await rows.still(waiting)
    rows.now = 10.0
    await waiting
    assert rows.ended == (0, 1)


async def test_its_own_row_is_left_out_only_by_a_write_that_forgot(rows):
    """A write waits for the row of its own process only if that process has not forgotten what it changed."""
    rows.rows = {OWN: BEFORE}
    await rows.confirm()
    waiting = rows.confirm(own_forgot=False)
    await rows.still(waiting)
    rows.rows[OWN] = AFTER
    await waiting
    assert rows.ended == (2, 0)


async def test_a_reading_that_began_before_a_write_does_not_answer_it(rows):
    """Rows that were read before a commit say nothing about it."""
    rows.rows = {}
    rows.gate.close()
    first = rows.confirm()
    await until(lambda: rows.gate.waiting)
    rows.rows = {A: BEFORE}
    second = rows.confirm()
    rows.gate.open()
    await first
    await rows.still(second)
    rows.rows = {}
    await second
    assert rows.ended == (2, 0)


async def test_an_acknowledgement_is_as_good_as_a_row(rows):
    """An acknowledgement counts for the replica that it names, and no other, before or after the rows are read."""
    rows.rows = {A: BEFORE, B: BEFORE}
    rows.gate.close()
    waiting = rows.confirm()
    await until(lambda: rows.gate.waiting)
    rows.confirmer.acknowledged(ReplicaAcknowledgement(A, AFTER, "here"))
    rows.gate.open()
    await rows.still(waiting)
    rows.confirmer.acknowledged(ReplicaAcknowledgement(UUID(int=4), AFTER, "here"))
    rows.confirmer.acknowledged(ReplicaAcknowledgement(A, AFTER, "here"))
    assert not waiting.done()
    rows.confirmer.acknowledged(ReplicaAcknowledgement(B, AFTER, "here"))
    await waiting
    assert rows.ended == (1, 0)


@pytest.mark.parametrize(("seen", "server"), [(BEFORE, "here"), (AFTER, "there")])
async def test_an_acknowledgement_of_less_or_of_another_server_counts_for_nothing(rows, seen, server):
    """An acknowledgement counts only if it shows the transaction and comes from the server that committed it."""
    waiting = await rows.waiting()
    rows.confirmer.acknowledged(ReplicaAcknowledgement(A, seen, server))
    await rows.still(waiting)
    rows.confirmer.acknowledged(ReplicaAcknowledgement(A, AFTER, "here"))
    await waiting
    assert rows.ended == (1, 0)


def test_what_is_read_before_the_deadline_is_acknowledged_between_two_beats(database):
    """An acknowledgement answers a withdrawal without another beat; a notice that is nonsense has no effect."""

    async def answered(world):
        await world.begin()
        await world.fill(world.b)
        with psycopg.connect(administrator_url(database.name), autocommit=True) as connection:
            connection.execute("SELECT pg_notify('sceau_change', 'nobody')")  # no name: B beats, and then none is due
            await until(lambda: world.b.feed.beats > 2)
            incarnations = [world.a.feed.incarnation, world.b.feed.incarnation]
            for channel in map(channel_of, incarnations):
                connection.execute("SELECT pg_notify(%s, 'nonsense')", [channel])
        beats = world.b.feed.beats
        await world.withdraw()
        confirmer = world.a.confirmer
        assert (confirmer.by_notice, confirmer.by_deadline, world.b.feed.beats) == (1, 0, beats)
        assert [world.a.feed.incarnation, world.b.feed.incarnation] == incarnations
        return await world.ask(world.b)

    assert not play(answered, database, Pace(lease=60.0, heartbeat=30.0, margin=0.1))


def test_what_a_process_reads_after_its_own_write_stays_in_memory(database):
    """An entry that a process reads after its own write stays in memory: the write's notification does not drop it."""

    async def kept(world):
        await world.begin(b=False)
        await world.a.ok("PATCH", f"/v1/processings/{world.processing}", {"status": "suspended"})
        await asyncio.sleep(0.3)  # its own notification has come by then, on any machine
        await world.ask(world.a)
        record = world.a.replica.register.get(world.processing)
        await asyncio.sleep(0.3)
        return record is not None and world.a.replica.register.get(world.processing) is record

    assert play(kept, database, Pace(lease=60.0, heartbeat=30.0, margin=0.1))


async def test_rows_that_cannot_be_read_until_the_longest_lease_is_over_fail_the_write(rows):
    """A write fails if rows cannot be read until the longest lease is over; a write after that is confirmed again."""
    rows.error = DatabaseUnavailableError()
    waiting = await rows.waiting()
    rows.now = 11.0
    with pytest.raises(DatabaseUnavailableError):
        await waiting
    rows.error, rows.rows = None, {}
    await rows.confirm()


async def test_a_write_is_confirmed_once_rows_can_be_read_again(rows):
    """A write whose rows cannot be read at first is confirmed as soon as they can be read again."""
    rows.error = DatabaseUnavailableError()
    waiting = await rows.waiting()
    rows.error, rows.rows = None, {A: AFTER}
    await waiting
    assert rows.ended == (1, 0)


async def test_rows_of_another_server_fail_the_write(rows):
    """Rows of another server fail the write, because the same numbers mean other transactions there."""
    rows.rows = {A: AFTER}
    rows.server = "there"
    with pytest.raises(DatabaseUnavailableError):
        await rows.confirm()
    rows.server = "here"
    await rows.confirm()


async def test_a_write_knows_the_server_that_it_runs_on(opened):
    """Without a beat, a write finds out its own server, and the rows that it waits for name that server too."""
    done = Committing()
    async with opened.write(None, [INSTANT], done):
        pass
    _, read = await Confirmer(opened, None, longest=10)._rows()
    assert done.server is not None
    assert done.server == read


async def test_nobody_is_waited_for_when_the_caller_has_gone(rows):
    """A wait that was cancelled ends, and the reading of rows with it."""
    waiting = await rows.waiting()
    waiting.cancel()
    await until(rows.confirmer._polling.done)
    assert not rows.confirmer._waits


def test_snapshots_show_what_postgresql_says_they_show(database):
    """`shows` agrees with `pg_visible_in_snapshot` on every number in and around each snapshot."""
    snapshots = ["10:10:", "10:14:", "10:14:10", "10:14:11,13", "10:20:10,14,15", "10:11:10"]
    with psycopg.connect(database.app_url) as connection:
        rows = connection.execute(
            "SELECT s, x, pg_visible_in_snapshot(x::text::xid8, s::pg_snapshot)"
            " FROM unnest(%s::text[]) AS s, generate_series(8, 22) AS x",
            [snapshots],
        ).fetchall()
    assert len(rows) == len(snapshots) * 15
    for snapshot, xid, visible in rows:
        assert TransactionSnapshot.parse(snapshot).shows(xid) is visible


@pytest.mark.parametrize("text", ["", "10", "10:20", "a:b:c", "10:20:x", "1:2:3:4"])
def test_what_is_no_snapshot_is_refused(text):
    """A text that is not a snapshot as PostgreSQL writes it raises an error."""
    with pytest.raises(ValueError, match=r"."):
        TransactionSnapshot.parse(text)


@pytest.mark.parametrize(("server", "forgot"), [("known", True), (None, False)])
async def test_a_process_waits_for_itself_where_no_beat_had_told_the_primary(opened, monkeypatch, server, forgot):
    """A write counts its own process as having forgotten only if a beat had named the server of the commit."""
    acknowledged = []

    async def confirm(_, xid, committed, *, own_forgot, server):
        del server
        acknowledged.append((xid > 0, committed > 0, own_forgot))

    monkeypatch.setattr(Confirmer, "confirm", confirm)
    async with opened.read() as session:
        identity = (await session.execute(text(f"SELECT {IDENTITY}"))).scalar_one()
    replica: Any = SimpleNamespace(
        feed=SimpleNamespace(server=server and identity, incarnation=None),
        committed=lambda *_, **__: None,
        leaves=Leaves(),
    )
    async with Writer(opened, replica, longest=1.0, journal=Journal(JournalPlan(wall_clock))).write() as session:
        session.narrow()
        session.change(ChangeKind.SUBJECT, b"somebody")
    assert acknowledged == [(True, True, forgot)]
