"""The dashboard's numbers, counted as often as their cost allows: at most about a sixtieth of one connection's time."""

from datetime import timedelta
from typing import Final

import procrastinate

from app.audit.figures import load_figure
from app.jobs.work import MINUTELY, Outcome, Work, periodic
from app.operations import count_consents, count_logged_decisions

_REST: Final = 60
_SHORTEST: Final = timedelta(seconds=50)


def install(app: procrastinate.App, work: Work) -> None:
    """Register the two tasks."""

    async def consents() -> Outcome:
        if not await _is_time(work, count_consents.NAME):
            return Outcome()
        async with work.database.write() as session:
            counted = await count_consents.count_consents(session, work.deployment.policy)
        return Outcome(flagged=counted or 0)

    async def decisions() -> Outcome:
        if not await _is_time(work, count_logged_decisions.NAME):
            return Outcome()
        async with work.database.write() as session:
            counted = await count_logged_decisions.count_logged_decisions(session)
        return Outcome(flagged=int(counted))

    periodic(app, work, "figures.consents", MINUTELY, consents)
    periodic(app, work, "figures.decisions", MINUTELY, decisions)


async def _is_time(work: Work, name: str) -> bool:
    async with work.database.read() as session:
        last = await load_figure(session, name)
        return last is None or await session.now() - last.counted_at >= max(_SHORTEST, last.took * _REST)
