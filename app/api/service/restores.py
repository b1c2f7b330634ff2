"""Say that a restored database has been dealt with (docs/recovery.md)."""

from typing import Annotated

from fastapi import Depends
from pydantic import BaseModel, ConfigDict, Field

from app.api.http.problems import UnauthorizedError
from app.api.http.routing import problems, strict_router
from app.api.http.security import Needs, as_shown, everywhere
from app.api.http.services import JournalDep, WriterDep
from app.api.http.wire import WireModel
from app.auth.callers import Authenticated, Caller
from app.auth.scopes import Scope
from app.journal.store import NewEpoch
from app.operations.service.accept_restore import accept_restore

router = strict_router("operation")

_NEEDS = Needs(Scope.DEPLOYMENT_RECOVER)
Recoverer = Annotated[Caller, Depends(everywhere(_NEEDS))]
Shown = Annotated[Authenticated, Depends(as_shown(_NEEDS))]


class RestoreAcceptance(WireModel):
    """What a restored database lacks for good, in the words of who answers for it; no word of it may name a user."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"lost": "Withdrawals from 14:02 to 14:05; we wrote to whom it concerns."}]}
    )

    lost: str = Field(min_length=1, max_length=2_000, description="What is lost, or was done again by hand")


class EpochBody(BaseModel):
    """The epoch that began."""

    epoch: int


@router.post(
    "/v1/restores",
    summary="Accept a restored database as it is",
    status_code=201,
    responses=problems((422, "Some fields are not as they should be.")),
)
async def post_restore(
    body: RestoreAcceptance, caller: Recoverer, shown: Shown, writer: WriterDep, journal: JournalDep
) -> EpochBody:
    """Answer from a database that was set back again, although it lacks what was withdrawn since.

    Replay the journal first (`sceau replay-journal`), which does this itself. What is said here stays in the database,
    and that it was said, by whom, in the audit trail.
    """
    if await journal.has_ended(caller.id, shown.credential):  # the backup brought its key back
        raise UnauthorizedError(presented=True)
    async with writer.write() as session:
        begun = NewEpoch(body.lost, by=caller.id)
        return EpochBody(epoch=await accept_restore(session, begun, known=journal.known))
