"""List what background tasks did, one entry for each task and day (UTC)."""

from collections.abc import Sequence
from datetime import UTC, timedelta

from app.audit.job_runs import DayOfRuns, latest_runs, list_runs
from app.db.session import ReadSession


async def list_job_runs(session: ReadSession, *, task: str | None, days: int) -> Sequence[DayOfRuns]:
    """The last days of one task or of all, newest first; `days` 0 gives the last day on which each of them ran."""
    if days == 0:
        return [each for each in await latest_runs(session) if task in {None, each.task}]
    today = (await session.now()).astimezone(UTC).date()
    return await list_runs(session, task=task, since=today - timedelta(days=days - 1))
