"""The yearly renewal, and what invalidations ended: a sweep of each every minute."""

import procrastinate

from app.jobs.work import MINUTELY, RunOutcome, Work, periodic
from app.operations.consents.sweep_renewals import sweep_renewals
from app.operations.webhooks.tell_invalidations import tell_invalidations


def install(app: procrastinate.App, work: Work) -> None:
    """Register both. Several may run at once: they pass over what another one holds."""

    async def sweep() -> RunOutcome:
        done = await sweep_renewals(work.database, work.deployment.renewal)
        return RunOutcome(flagged=done.flagged.total(), backlog=done.backlog)

    periodic(app, work, "renewals.sweep", MINUTELY, sweep)

    async def tell() -> RunOutcome:
        return RunOutcome(flagged=await tell_invalidations(work.database, work.deployment.renewal))

    periodic(app, work, "invalidations.tell", MINUTELY, tell)
