"""Runs of the background jobs: kept, and listed."""

from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import Final

from app.audit.job_runs import DayOfRuns, JobRun, add_run, drop_runs_before, latest_runs, list_runs
from app.db.session import ReadSession, WriteSession

KEPT: Final = timedelta(days=90)
"""How long the days of each task are kept."""


async def record_job_run(session: WriteSession, run: JobRun) -> None:
    """Add a run to its task's row of that day (UTC, by the database's clock)."""
    await add_run(session, run, run.started_at.astimezone(UTC).date())


async def forget_old_runs(session: WriteSession) -> None:
    """Forget the days that are older than `KEPT`."""
    await drop_runs_before(session, (await session.now()).astimezone(UTC).date() - KEPT)


async def list_job_runs(session: ReadSession, *, task: str | None, days: int) -> Sequence[DayOfRuns]:
    """The last days of one task or of all, newest first; `days` 0 gives the last day on which each of them ran."""
    if days == 0:
        return [each for each in await latest_runs(session) if task in {None, each.task}]
    today = (await session.now()).astimezone(UTC).date()
    return await list_runs(session, task=task, since=today - timedelta(days=days - 1))
