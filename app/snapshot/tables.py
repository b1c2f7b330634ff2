"""Tables of the replicas' memory (what changed, which replicas are alive), and the upkeep that any replica does."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from time import monotonic
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import (
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    delete,
    func,
    select,
    text,
    tuple_,
)

from app.db.database import Database, DatabaseUnavailableError
from app.db.schema import Instant, Snapshot, TransactionId, metadata
from app.db.session import ReadSession
from app.journal.journal import Pulse
from app.snapshot.feed import Pace

change = Table(
    "change",
    metadata,
    Column("xid", TransactionId, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("kind", SmallInteger, nullable=False),
    Column("ref", LargeBinary, nullable=False),
    PrimaryKeyConstraint("xid", "kind", "ref"),
)

replica = Table(
    "replica",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("beat", BigInteger, nullable=False, server_default=text("0")),
    Column("applied", Snapshot),
    Column("lease_ms", Integer, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("about", Text, nullable=False),
)


_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class ReplicaSeen:
    """One process that decides from memory: `about` is its host and process id, `beats` the number of its beats."""

    id: UUID
    about: str
    beats: int
    lease: timedelta
    seen_at: datetime


async def list_replicas(session: ReadSession) -> list[ReplicaSeen]:
    """Return the replicas heard last, at most 200, with the one that has been silent longest first."""
    statement = select(replica).order_by(replica.c.seen_at.desc()).limit(_MOST)
    replicas = [
        ReplicaSeen(row.id, row.about, row.beat, timedelta(milliseconds=row.lease_ms), row.seen_at)
        for row in await session.execute(statement)
    ]
    return replicas[::-1]


# Any replica does this for all: it deletes the rows of dead replicas, and trims changes that every replica has applied.

log = structlog.get_logger("sceau.upkeep")


async def keep_up(database: Database, pace: Pace, pulse: Pulse) -> None:
    """Delete dead rows and trim changes until cancelled, when a beat reports such work or no beats come."""
    looked = trimmed = -inf
    while True:
        try:
            chores = pulse.chores(looked)
            if chores is None or chores.dead:
                await take_away_dead(database, pace)
                looked = monotonic()
            else:
                await asyncio.sleep(pace.lease + pace.margin)
            chores = pulse.chores(trimmed)
            if chores is None or chores.changes:
                await trim(database)
                trimmed = monotonic()
        except DatabaseUnavailableError:
            await asyncio.sleep(pace.lease)
        except Exception as error:  # noqa: BLE001 - whatever it is: rows of the dead must not hold up writes for ever
            log.warning("upkeep failed", cause=type(error).__name__)
            await asyncio.sleep(pace.lease)


async def take_away_dead(database: Database, pace: Pace) -> None:
    """Delete the rows whose beat has not moved during a lease and a margin, by this process's own clock.

    While no replica is dead this takes two statements, however many replicas there are.
    """
    before = await _beats(database)
    await asyncio.sleep(pace.lease + pace.margin)
    if not before.items() & (await _beats(database)).items():
        return
    # The beats are compared in the statement itself: a replica that woke up meanwhile keeps its row.
    async with database.write() as session:
        gone = await session.execute(
            delete(replica).where(tuple_(replica.c.id, replica.c.beat).in_(before.items())).returning(replica.c.id)
        )
        for _ in gone:
            log.info("dead replica taken away")


async def trim(database: Database) -> None:
    """Delete the changes that every replica's cursor has passed. A replica that registers later starts empty."""
    floor = select(func.min(func.pg_snapshot_xmin(replica.c.applied))).scalar_subquery()
    unsure = select(replica.c.id).where(replica.c.applied.is_(None)).exists()
    async with database.write() as session:
        own = text("pg_snapshot_xmin(pg_current_snapshot())")
        await session.execute(delete(change).where(change.c.xid < func.least(floor, own), ~unsure))


async def count_changes(session: ReadSession) -> int:
    """Return how many changes are kept because some replica's cursor has not passed them."""
    return int((await session.execute(select(func.count()).select_from(change))).scalar_one())


async def _beats(database: Database) -> dict[UUID, int]:
    async with database.read() as session:
        rows = await session.execute(select(replica.c.id, replica.c.beat))
        return {row.id: row.beat for row in rows}
