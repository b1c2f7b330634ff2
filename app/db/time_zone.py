"""Compare how Python and PostgreSQL read Europe/Paris: a consent's year must be counted alike by both."""

from datetime import date, datetime, timedelta

from sqlalchemy import text

from app.core.article import paris_midnight
from app.db.session import ReadSession

_FIRST, _LAST, _STEP = date(2016, 1, 1), date(2046, 1, 1), timedelta(days=7)

_MIDNIGHTS = text(
    "SELECT day::timestamp AT TIME ZONE 'Europe/Paris' FROM generate_series(0, :weeks) AS week,"
    " LATERAL (SELECT CAST(:first AS date) + 7 * week AS day) AS days ORDER BY week"
)


async def time_zones_agree(session: ReadSession) -> bool:
    """Whether midnight in Paris is the same instant for both, for one day of each week of thirty years."""
    days = [_FIRST + _STEP * week for week in range((_LAST - _FIRST) // _STEP + 1)]
    found = await session.execute(_MIDNIGHTS, {"first": _FIRST, "weeks": len(days) - 1})
    theirs: list[datetime] = list(found.scalars())
    return theirs == [paris_midnight(day) for day in days]
