"""Record that a background task ran, and forget runs of long ago."""

from datetime import UTC, timedelta
from typing import Final

from app.audit.job_runs import JobRun, add_run, drop_runs_before
from app.db.session import WriteSession

KEPT: Final = timedelta(days=90)
"""How long the days of each task are kept."""


async def record_job_run(session: WriteSession, run: JobRun) -> None:
    """Add a run to its task's row of that day (UTC, by the database's clock)."""
    await add_run(session, run, run.started_at.astimezone(UTC).date())


async def forget_old_runs(session: WriteSession) -> None:
    """Forget the days that are older than `KEPT`."""
    await drop_runs_before(session, (await session.now()).astimezone(UTC).date() - KEPT)
