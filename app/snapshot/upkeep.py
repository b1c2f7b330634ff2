"""What any replica does for all: take away the rows of dead ones, and trim changes that every one has applied."""

import asyncio
from uuid import UUID

import structlog
from sqlalchemy import delete, func, select, text

from app.db.database import Database, DatabaseUnavailableError
from app.db.session import ReadSession
from app.snapshot.feed import Pace
from app.snapshot.tables import change, replica

log = structlog.get_logger("sceau.upkeep")


async def keep_up(database: Database, pace: Pace) -> None:
    """Look at the replicas again and again, until cancelled."""
    while True:
        try:
            await take_away_dead(database, pace)
            await trim(database)
        except DatabaseUnavailableError:
            await asyncio.sleep(pace.lease)
        except Exception as error:  # noqa: BLE001 - whatever it is: rows of the dead must not hold up writes for ever
            log.warning("upkeep failed", cause=type(error).__name__)
            await asyncio.sleep(pace.lease)


async def take_away_dead(database: Database, pace: Pace) -> None:
    """Delete the rows whose beat has not moved in a lease and a margin, by this process's own clock."""
    before = await _beats(database)
    await asyncio.sleep(pace.lease + pace.margin)
    for identifier, beat in before.items():
        # The beat is compared in the statement itself: a replica that woke up meanwhile keeps its row.
        async with database.write() as session:
            gone = await session.execute(
                delete(replica).where(replica.c.id == identifier, replica.c.beat == beat).returning(replica.c.id)
            )
            if gone.first() is not None:
                log.info("dead replica taken away")


async def trim(database: Database) -> None:
    """Delete the changes that every replica's cursor has passed. One that registers later starts with nothing."""
    floor = select(func.min(func.pg_snapshot_xmin(replica.c.applied))).scalar_subquery()
    unsure = select(replica.c.id).where(replica.c.applied.is_(None)).exists()
    async with database.write() as session:
        own = text("pg_snapshot_xmin(pg_current_snapshot())")
        await session.execute(delete(change).where(change.c.xid < func.least(floor, own), ~unsure))


async def count_changes(session: ReadSession) -> int:
    """How many changes are kept because some replica's cursor has not passed them."""
    return int((await session.execute(select(func.count()).select_from(change))).scalar_one())


async def _beats(database: Database) -> dict[UUID, int]:
    async with database.read() as session:
        found = await session.execute(select(replica.c.id, replica.c.beat))
        return {row.id: row.beat for row in found}
