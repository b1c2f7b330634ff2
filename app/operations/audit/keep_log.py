"""Keep the decision log's partitions: those of today and tomorrow made, those past their retention dropped."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from app.audit.figures import (
    LOGGED,
    Figure,
    add_up_days,
    count_decisions,
    first_logged,
    keep_figure,
    load_figure,
    one_at_a_time,
)
from app.audit.store import drop_before, load_log_floor, make_partition
from app.db.database import Database, DatabaseUnavailableError
from app.db.session import WriteSession

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
    today = (await session.instant()).astimezone(UTC).date()
    for day in (today, today + timedelta(days=1)):
        await make_partition(session, day)
    floor = await load_log_floor(session)
    if retention < floor:
        log.warning("the owner's floor keeps days longer than SCEAU_DECISION_LOG_RETENTION", days=floor.days)
    dropped = await drop_before(session, today - max(retention, floor))
    if dropped:
        log.info("old days of the decision log dropped", days=dropped)


SHOWN: Final = timedelta(days=14)
"""How far back the dashboard shows decisions, and they are counted by hour."""
_LATE: Final = timedelta(hours=1)
"""How long an hour that is over is counted again: the log of a worker that lost the database comes later."""

_AT_ONCE: Final = timedelta(days=1)
_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)


async def count_logged_decisions(session: WriteSession) -> bool:
    """Count what is not settled yet; False when another process counts already.

    Reads the log of about two hours, whatever its size; after a time without it, of one day at each run.
    """
    if not await one_at_a_time(session, LOGGED):
        return False
    now = await session.now()
    before = await load_figure(session, LOGGED)
    since = (before.settled_until if before is not None else None) or _BEGINNING
    first = await first_logged(session, since)
    until = min(now, (_hour(first) if first is not None else now) + _AT_ONCE)
    settled = min(_hour(now - _LATE), _hour(until))
    await count_decisions(session, since, until)
    await add_up_days(session, min(settled, now - SHOWN - timedelta(days=1)))
    await keep_figure(session, LOGGED, Figure(until, await session.now() - now, settled))
    return True


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
