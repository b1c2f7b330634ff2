"""Upkeep: what a killed worker left behind is taken back, what is finished is removed, keys are exchanged."""

from typing import Final

import procrastinate
from procrastinate.exceptions import UniqueViolation
from procrastinate.jobs import Status

from app.jobs.work import HOURLY, MINUTELY, RunOutcome, Work, periodic
from app.operations.service.job_runs import forget_old_runs
from app.operations.service.rewrite_locators import rewrite_locators, rewriting_is_due

SILENT_SECONDS: Final = 30
"""A worker that has not said for so long that it lives is dead; it says so every ten seconds."""

_KEPT_HOURS: Final = 7 * 24


def install(app: procrastinate.App, work: Work) -> None:
    """Register the three tasks."""

    async def take_back() -> RunOutcome:
        return RunOutcome(flagged=await take_back_stalled(app))

    async def clean() -> RunOutcome:
        await app.job_manager.delete_old_jobs(
            nb_hours=_KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )
        async with work.database.write() as session:
            await forget_old_runs(session)
        return RunOutcome()

    async def rewrite() -> RunOutcome:
        return RunOutcome(flagged=await exchange_keys(work))

    periodic(app, work, "subjects.rewrite_locators", MINUTELY, rewrite)
    periodic(app, work, "jobs.take_back", MINUTELY, take_back)
    periodic(app, work, "jobs.clean", HOURLY, clean)


async def exchange_keys(work: Work) -> int:
    """Write the locators of all subjects anew, where the keys that are given want others; how many batches it took."""
    async with work.database.write() as session:
        if not await rewriting_is_due(session, work.deployment):
            return 0
    batches, after = 0, b""
    while work.stopping is None or not work.stopping.is_set():
        async with work.database.write() as session:
            after = await rewrite_locators(session, work.deployment, after=after)
        if not after:
            break
        batches += 1
    return batches


async def take_back_stalled(app: procrastinate.App, *, silent_seconds: float = SILENT_SECONDS) -> int:
    """Put jobs that a dead worker held back into the queue, or end those whose like waits there already.

    Returns:
        How many were found.

    """
    manager = app.job_manager
    await manager.prune_stalled_workers(silent_seconds)
    stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=silent_seconds))
    for job in stalled:
        try:
            await manager.retry_job(job)
        except UniqueViolation:  # the next one of a periodic task waits: it will do what this one did not
            await manager.finish_job(job, Status.ABORTED, delete_job=True)
    return len(stalled)
