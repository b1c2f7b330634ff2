"""Count the decision log by hour, processing and reason, for the dashboard."""

from datetime import UTC, datetime, timedelta
from typing import Final

from app.audit.figures import Figure, count_decisions, first_logged, keep_figure, load_figure, one_at_a_time
from app.db.session import WriteSession

NAME: Final = "decisions"
SHOWN: Final = timedelta(days=14)
"""How far back decisions are counted."""
_LATE: Final = timedelta(hours=1)
"""How long an hour that is over is counted again: the log of a worker that lost the database comes later."""

_AT_ONCE: Final = timedelta(days=1)


async def count_logged_decisions(session: WriteSession) -> bool:
    """Count what is not settled yet; False when another process counts already.

    Reads the log of about two hours, whatever its size; after a time without it, of one day at each run.
    """
    if not await one_at_a_time(session, NAME):
        return False
    now = await session.now()
    oldest = _hour(now - SHOWN - timedelta(days=1))
    before = await load_figure(session, NAME)
    settled = before.settled_until if before is not None else None
    since = max(oldest, settled) if settled is not None else oldest
    first = await first_logged(session, since)
    until = min(now, (_hour(first) if first is not None else now) + _AT_ONCE)
    await count_decisions(session, since, until, forget=oldest)
    await keep_figure(session, NAME, Figure(until, await session.now() - now, min(_hour(now - _LATE), _hour(until))))
    return True


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
