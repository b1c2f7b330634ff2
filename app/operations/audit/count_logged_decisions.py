"""Count the decision log by processing and reason: by hour at first, by day for good."""

from datetime import UTC, datetime, timedelta
from typing import Final

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
from app.db.session import WriteSession

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
