"""The yearly renewal: a sweep every minute."""

import procrastinate

from app.jobs.work import MINUTELY, RunOutcome, Work, periodic
from app.operations.consents.sweep_renewals import sweep_renewals


def install(app: procrastinate.App, work: Work) -> None:
    """Register the sweep. Several may run at once: they pass over what another one holds."""

    async def sweep() -> RunOutcome:
        done = await sweep_renewals(work.database, work.deployment.renewal)
        return RunOutcome(flagged=done.flagged.total(), backlog=done.backlog)

    periodic(app, work, "renewals.sweep", MINUTELY, sweep)
