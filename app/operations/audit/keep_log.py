"""Keep the decision log's partitions: those of today and tomorrow made, those past their retention dropped."""

import asyncio
from datetime import UTC, timedelta

import structlog

from app.audit.store import drop_before, load_log_floor, make_partition
from app.db.database import Database, DatabaseUnavailableError
from app.db.session import INSTANT, WriteSession

_EVERY_SECONDS = 3_600
log = structlog.get_logger("sceau.decision_log")


async def keep_log(database: Database, retention: timedelta) -> None:
    """Do so every hour, until cancelled."""
    while True:
        try:
            async with database.write() as session:
                await turn_over(session, retention)
        except DatabaseUnavailableError:
            await asyncio.sleep(5)
        except Exception as error:  # noqa: BLE001 - whatever it is: the day after tomorrow needs its partition
            log.warning("the log could not be turned over", cause=type(error).__name__)
            await asyncio.sleep(60)
        else:
            await asyncio.sleep(_EVERY_SECONDS)


async def turn_over(session: WriteSession, retention: timedelta) -> None:
    """Make the partitions that will be needed, and drop the days (UTC) that are older than the retention.

    No day younger than the owner's floor is dropped: a retention that is shorter waits for it.
    """
    today = (await session.find(INSTANT)).astimezone(UTC).date()
    for day in (today, today + timedelta(days=1)):
        await make_partition(session, day)
    floor = await load_log_floor(session)
    if retention < floor:
        log.warning("the owner's floor keeps days longer than SCEAU_DECISION_LOG_RETENTION", days=floor.days)
    dropped = await drop_before(session, today - max(retention, floor))
    if dropped:
        log.info("old days of the decision log dropped", days=dropped)
