"""Appends to the log what was recorded, four times a minute, and states each minute which decisions were logged."""

from typing import Final

import procrastinate

from app.jobs.work import MINUTELY, RunOutcome, Work, periodic
from app.operations.proof.append_entries import append_entries
from app.operations.proof.batch_decisions import batch_next

_FOUR_A_MINUTE: Final = "* * * * * */15"


def install(app: procrastinate.App, work: Work) -> None:
    """Register the tasks."""

    async def append() -> RunOutcome:
        return RunOutcome(flagged=await append_all(work))

    async def batch() -> RunOutcome:
        return RunOutcome(flagged=await batch_all(work))

    periodic(app, work, "proof.append", _FOUR_A_MINUTE, append)
    periodic(app, work, "proof.batch", MINUTELY, batch)


async def batch_all(work: Work) -> int:
    """State batches until none is due, each in a transaction of its own; how many."""
    made = 0
    while work.stopping is None or not work.stopping.is_set():
        async with work.database.write() as session:
            stated = await batch_next(session)
        if not stated:
            break
        made += 1
    return made


async def append_all(work: Work) -> int:
    """Append until nothing waits, or this process is to stop; how many entries there are more."""
    added = 0
    while work.log is not None and (work.stopping is None or not work.stopping.is_set()):
        async with work.database.write() as session:
            done = await append_entries(session, work.deployment, work.log)
        if done.note is not None:
            # Behind the commit: a head that is kept outside is one that was signed for good.
            work.log.heads.keep(done.note)
        added += done.entries
        if done.is_all:
            break
    return added
