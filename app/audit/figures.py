"""The numbers that the dashboard shows, counted by a job: what a page reads is small, however large the service is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from app.audit.store import decision_count, figure
from app.db.session import ReadSession, WriteSession

LOGGED: Final = "decisions"
"""The figure of logged decisions, whose numbers stand in `decision_count`."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One set of numbers: when it was counted and how long that took.

    `settled_until`: what was decided before then is not counted again.
    """

    counted_at: datetime
    took: timedelta
    settled_until: datetime | None = None
    numbers: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class AnswerCount:
    """How often one answer was given about a processing, for one reason; `processing` "" is one that is unknown."""

    processing: str
    permitted: bool
    reason: str
    number: int


@dataclass(frozen=True, slots=True)
class DecisionCount(AnswerCount):
    """The same, of the logged decisions of a day (Paris)."""

    day: str


async def load_figure(session: ReadSession, name: str) -> Figure | None:
    """What was counted last; None when nothing was yet."""
    row = (await session.execute(select(figure).where(figure.c.name == name))).first()
    if row is None:
        return None
    return Figure(row.counted_at, timedelta(milliseconds=row.took_ms), row.settled_until, row.numbers or ())


async def keep_figure(session: WriteSession, name: str, counted: Figure) -> None:
    """Keep what was counted in the place of what was counted before."""
    values = {
        "counted_at": counted.counted_at,
        "took_ms": round(counted.took.total_seconds() * 1000),
        "settled_until": counted.settled_until,
        "numbers": [dict(each) for each in counted.numbers],
    }
    statement = insert(figure).values(name=name, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


async def one_at_a_time(session: WriteSession, name: str) -> bool:
    """Whether this transaction alone counts these numbers just now."""
    turn = select(func.pg_try_advisory_xact_lock(func.hashtext(f"sceau figure {name}")))
    return bool((await session.execute(turn)).scalar_one())


# By the index on ids, which begin with the time: only what was not settled is read.
_COUNT: Final = text("""
INSERT INTO decision_count (hour, processing, permitted, reason, number)
SELECT date_trunc('hour', at, 'UTC'), CASE WHEN reason = 'unknown_processing' THEN '' ELSE processing END, permitted,
    reason, count(*)
FROM decision_log WHERE at >= :since AND at < :until AND id >= :first GROUP BY 1, 2, 3, 4
""")

CLOCKS_APART: Final = 600
"""Seconds by which the time in an id may be before the decision's own."""


_FIRST: Final = text("SELECT at FROM decision_log WHERE at >= :since AND id >= :first ORDER BY id LIMIT 1")


async def first_logged(session: ReadSession, since: datetime) -> datetime | None:
    """When the first decision in the log since an instant was taken; None when there is none."""
    found: datetime | None = (
        await session.execute(_FIRST, {"since": since, "first": lowest_id(since)})
    ).scalar_one_or_none()
    return found


async def count_decisions(session: WriteSession, since: datetime, until: datetime) -> None:
    """Count the log's hours from one on, again where they were counted."""
    await session.execute(delete(decision_count).where(decision_count.c.hour >= since))
    await session.execute(_COUNT, {"since": since, "until": until, "first": lowest_id(since)})


# A day stands where its first hour stood.
_TO_DAYS: Final = text("""
WITH gone AS (
    DELETE FROM decision_count
    WHERE hour < date_trunc('day', CAST(:before AS timestamptz), 'Europe/Paris')
        AND hour > date_trunc('day', hour, 'Europe/Paris')
    RETURNING *
)
INSERT INTO decision_count (hour, processing, permitted, reason, number)
SELECT date_trunc('day', hour, 'Europe/Paris'), processing, permitted, reason, sum(number) FROM gone GROUP BY 1, 2, 3, 4
ON CONFLICT (hour, processing, permitted, reason) DO UPDATE SET number = decision_count.number + excluded.number
""")


async def add_up_days(session: WriteSession, before: datetime) -> None:
    """Put the numbers of each whole day (Paris) before an instant in the place of its hours', for good."""
    await session.execute(_TO_DAYS, {"before": before})


_ANSWERS: Final = text("""
SELECT processing, permitted, reason, CAST(sum(number) AS bigint) AS number FROM (
    SELECT processing, permitted, reason, number FROM decision_count
    WHERE hour >= :since AND hour < LEAST(:until, CAST(:settled AS timestamptz))
    UNION ALL
    SELECT CASE WHEN reason = 'unknown_processing' THEN '' ELSE processing END, permitted, reason, count(*)
    FROM decision_log WHERE at >= GREATEST(:since, CAST(:settled AS timestamptz)) AND at < :until GROUP BY 1, 2, 3
) AS answers GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")


async def answers_between(session: ReadSession, since: datetime, until: datetime) -> list[AnswerCount]:
    """The decisions between two midnights (Paris), by processing and answer, however old: rows of the log are not kept.

    What the job settled is taken from its counts, the rest is counted in the log now.
    """
    figure = await load_figure(session, LOGGED)
    settled = figure.settled_until if figure is not None else None
    found = await session.execute(_ANSWERS, {"since": since, "until": until, "settled": settled or since})
    return [AnswerCount(row.processing, row.permitted, row.reason, row.number) for row in found]


def lowest_id(since: datetime) -> UUID:
    """What no id of a decision since then is below (RFC 9562, 5.7: it begins with milliseconds)."""
    return UUID(int=int((since.timestamp() - CLOCKS_APART) * 1000) << 80)


_BY_DAY: Final = text("""
SELECT to_char(hour AT TIME ZONE 'Europe/Paris', 'YYYY-MM-DD') AS day, processing, permitted, reason,
    CAST(sum(number) AS bigint) AS number
FROM decision_count WHERE hour >= :since GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
""")


async def decisions_by_day(session: ReadSession, since: datetime) -> list[DecisionCount]:
    """The counts since an hour, by day in Paris."""
    found = await session.execute(_BY_DAY, {"since": since})
    return [DecisionCount(row.processing, row.permitted, row.reason, row.number, row.day) for row in found]
