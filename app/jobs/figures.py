"""The dashboard's numbers, counted as often as their cost allows: at most about a sixtieth of one connection's time.

A count that failed, perhaps because it takes longer than a statement may, is left alone for a while.
"""

from datetime import timedelta
from typing import Final

import procrastinate

from app.audit.figures import LOGGED, load_figure
from app.audit.job_runs import latest_runs
from app.jobs.work import MINUTELY, RunOutcome, Work, periodic
from app.operations.audit import count_logged_decisions
from app.operations.consents import count_consents

_REST: Final = 60
_SHORTEST: Final = timedelta(seconds=50)
_AFTER_A_FAILURE: Final = timedelta(minutes=10)

CONSENTS: Final = "figures.consents"
DECISIONS: Final = "figures.decisions"


def install(app: procrastinate.App, work: Work) -> None:
    """Register the two tasks."""

    async def consents() -> RunOutcome:
        if not await is_time(work, CONSENTS, count_consents.NAME):
            return RunOutcome()
        async with work.database.write(at_once=True) as session:
            counted = await count_consents.count_consents(session, work.deployment.policy)
        return RunOutcome(flagged=counted or 0)

    async def decisions() -> RunOutcome:
        if not await is_time(work, DECISIONS, LOGGED):
            return RunOutcome()
        async with work.database.write() as session:
            counted = await count_logged_decisions.count_logged_decisions(session)
        return RunOutcome(flagged=int(counted))

    periodic(app, work, CONSENTS, MINUTELY, consents)
    periodic(app, work, DECISIONS, MINUTELY, decisions)


async def is_time(work: Work, task: str, figure: str) -> bool:
    """Whether the task may count again: it rested sixty times as long as it worked, and did not fail just now."""
    async with work.database.read() as session:
        now = await session.now()
        failed_at = next((run.last_failed_at for run in await latest_runs(session) if run.task == task), None)
        if failed_at is not None and now - failed_at < _AFTER_A_FAILURE:
            return False
        last = await load_figure(session, figure)
        return last is None or now - last.counted_at >= max(_SHORTEST, last.took * _REST)
