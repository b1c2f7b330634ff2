"""The yearly renewal: a sweep every minute."""

import procrastinate

from app.jobs.work import MINUTELY, Outcome, Work, periodic
from app.operations.sweep_renewals import sweep_renewals


def install(app: procrastinate.App, work: Work) -> None:
    """Register the sweep. Several may run at once: they pass over what another one holds."""

    async def sweep() -> Outcome:
        done = await sweep_renewals(work.database, work.deployment.renewal)
        return Outcome(flagged=done.flagged.total(), backlog=done.backlog)

    periodic(app, work, "renewals.sweep", MINUTELY, sweep)
