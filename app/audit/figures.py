"""The numbers that the dashboard shows, counted by a job: what a page reads is small, however large the service is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, delete, func, select, text
from sqlalchemy.dialects.postgresql import distinct_on, insert

from app.audit.store import decision_count, figure, job_run
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


# What background tasks did: one row for each task and day (UTC), so that the table stays small.


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a task.

    `took` is how long it ran, `flagged` how many things it dealt with, `backlog` how many it knows to be left; `error`
    is the class of what it failed with, None when it ended well. `lost` counts deliveries dropped undelivered.
    """

    task: str
    started_at: datetime
    took: timedelta
    flagged: int = 0
    backlog: int = 0
    error: str | None = None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class DayOfRuns:
    """A task's runs on one day (UTC): sums, and how the last one went.

    `flagged` and `lost` are sums over the day, `last_flagged` is that of the last run; `backlog` is what that left.
    """

    task: str
    day: date
    runs: int
    failures: int
    flagged: int
    last_started_at: datetime
    last_took: timedelta
    last_flagged: int
    backlog: int
    last_failed_at: datetime | None
    last_error: str | None
    lost: int = 0


async def add_run(session: WriteSession, run: JobRun, day: date) -> None:
    """Add a run to its task's day."""
    failed = run.error is not None
    statement = insert(job_run).values(
        task=run.task,
        day=day,
        runs=1,
        failures=int(failed),
        flagged=run.flagged,
        last_started_at=run.started_at,
        last_took_ms=round(run.took.total_seconds() * 1000),
        last_flagged=run.flagged,
        backlog=run.backlog,
        last_failed_at=run.started_at if failed else None,
        last_error=run.error,
        lost=run.lost,
    )
    new = statement.excluded
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=["task", "day"],
            set_={
                "runs": job_run.c.runs + 1,
                "failures": job_run.c.failures + new.failures,
                "flagged": job_run.c.flagged + new.flagged,
                "lost": job_run.c.lost + new.lost,
                "last_started_at": new.last_started_at,
                "last_took_ms": new.last_took_ms,
                "last_flagged": new.last_flagged,
                "backlog": new.backlog,
                "last_failed_at": func.coalesce(new.last_failed_at, job_run.c.last_failed_at),
                "last_error": func.coalesce(new.last_error, job_run.c.last_error),
            },
        )
    )


async def latest_runs(session: ReadSession) -> list[DayOfRuns]:
    """For each task the last day on which it ran, by name of task."""
    statement = select(job_run).ext(distinct_on(job_run.c.task)).order_by(job_run.c.task, job_run.c.day.desc())
    return [_day(row) for row in await session.execute(statement)]


async def list_runs(session: ReadSession, *, task: str | None, since: date) -> list[DayOfRuns]:
    """The days since one, of one task or of all, newest first."""
    statement = select(job_run).where(job_run.c.day >= since).order_by(job_run.c.day.desc(), job_run.c.task)
    if task is not None:
        statement = statement.where(job_run.c.task == task)
    return [_day(row) for row in await session.execute(statement)]


async def drop_runs_before(session: WriteSession, day: date) -> None:
    """Forget the days before one."""
    await session.execute(delete(job_run).where(job_run.c.day < day))


def _day(row: Row[tuple[object, ...]]) -> DayOfRuns:
    return DayOfRuns(
        task=row.task,
        day=row.day,
        runs=row.runs,
        failures=row.failures,
        flagged=row.flagged,
        last_started_at=row.last_started_at,
        last_took=timedelta(milliseconds=row.last_took_ms),
        last_flagged=row.last_flagged,
        backlog=row.backlog,
        last_failed_at=row.last_failed_at,
        last_error=row.last_error,
        lost=row.lost,
    )
