"""Links to the consent page that have ended are removed, in batches."""

import procrastinate

from app.jobs.work import HOURLY, RunOutcome, Work, periodic
from app.operations.consents.remove_ended_links import AT_ONCE, remove_ended_links


def install(app: procrastinate.App, work: Work) -> None:
    """Register the task."""

    async def remove() -> RunOutcome:
        removed = 0
        while True:
            async with work.database.write() as session:
                gone = await remove_ended_links(session)
            removed += gone
            if gone < AT_ONCE:
                return RunOutcome(flagged=removed)

    periodic(app, work, "links.remove_ended", HOURLY, remove)
