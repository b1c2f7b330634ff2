"""Has the newest checkpoint of the log stamped each hour; after a failure, again five minutes later."""

from typing import Final

import procrastinate
import structlog

from app.jobs.work import RunOutcome, Work, periodic
from app.operations.proof.stamp_log import checkpoint_to_stamp, keep_stamp
from app.proof.authority import AuthorityError

_EACH_FIVE_MINUTES: Final = "2-59/5 * * * *"

log = structlog.get_logger("sceau.proof")


def install(app: procrastinate.App, work: Work) -> None:
    """Register the task; where no authority is asked, it does nothing."""

    async def stamp() -> RunOutcome:
        try:
            return RunOutcome(flagged=int(await stamp_newest(work)))
        except AuthorityError as error:
            # No failure of the task, which would be tried again within seconds: what it could not do is left.
            log.warning("the log was not time-stamped", cause=str(error))
            return RunOutcome(backlog=1)

    periodic(app, work, "proof.stamp", _EACH_FIVE_MINUTES, stamp)


async def stamp_newest(work: Work, *, at_once: bool = False) -> bool:
    """Have the newest checkpoint stamped if that is due, or with `at_once` whenever it is not; whether it was.

    Raises:
        AuthorityError: the authority gave no time-stamp that can be believed.

    """
    if work.authority is None:
        return False
    async with work.database.read() as session:
        checkpoint = await checkpoint_to_stamp(session, at_once=at_once)
    if checkpoint is None:
        return False
    answer = await work.authority.stamp(checkpoint.note.encode())
    async with work.database.write() as session:
        return await keep_stamp(session, checkpoint, answer)
