"""The numbers of consents that the console shows, counted by a job, and the record of job runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, delete, func, select
from sqlalchemy.dialects.postgresql import distinct_on, insert

from app.audit.store import figure, job_run
from app.db.session import ReadSession, WriteSession


@dataclass(frozen=True, slots=True)
class Figure:
    """One set of numbers, with when it was counted and how long that took."""

    counted_at: datetime
    took: timedelta
    numbers: Sequence[Mapping[str, Any]] = ()


async def load_figure(session: ReadSession, name: str) -> Figure | None:
    """Return the last count of that name; None when there was none yet."""
    row = (await session.execute(select(figure).where(figure.c.name == name))).first()
    if row is None:
        return None
    return Figure(row.counted_at, timedelta(milliseconds=row.took_ms), row.numbers or ())


async def keep_figure(session: WriteSession, name: str, counted: Figure) -> None:
    """Keep a count, in place of the previous one."""
    values = {
        "counted_at": counted.counted_at,
        "took_ms": round(counted.took.total_seconds() * 1000),
        "numbers": [dict(each) for each in counted.numbers],
    }
    statement = insert(figure).values(name=name, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


# The runs of background tasks: one row for each task and day (UTC), so that the table stays small.


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a task.

    `took` is how long it ran, `flagged` how many things it dealt with, `backlog` how many it knows to be left; `error`
    is the class of the exception with which it failed, None when it ended well. `lost` counts deliveries dropped
    undelivered.
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

    `flagged` and `lost` are sums over the day, `last_flagged` is that of the last run, and `backlog` what that run
    left. `last_took` is in seconds.
    """

    task: str
    day: date
    runs: int
    failures: int
    flagged: int
    last_started_at: datetime
    last_took: float
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
    """Return for each task the last day on which it ran, by name of task."""
    statement = select(job_run).ext(distinct_on(job_run.c.task)).order_by(job_run.c.task, job_run.c.day.desc())
    return [_day(row) for row in (await session.execute(statement)).mappings()]


async def list_runs(session: ReadSession, *, task: str | None, since: date) -> list[DayOfRuns]:
    """Return the days since a given one, of one task or of all, newest first."""
    statement = select(job_run).where(job_run.c.day >= since).order_by(job_run.c.day.desc(), job_run.c.task)
    if task is not None:
        statement = statement.where(job_run.c.task == task)
    return [_day(row) for row in (await session.execute(statement)).mappings()]


async def drop_runs_before(session: WriteSession, day: date) -> None:
    """Delete the days before a given one."""
    await session.execute(delete(job_run).where(job_run.c.day < day))


def _day(row: RowMapping) -> DayOfRuns:
    columns: dict[str, Any] = dict(row)
    took = columns.pop("last_took_ms") / 1000
    return DayOfRuns(**columns, last_took=took)
