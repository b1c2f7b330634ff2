"""Say that a restored database has been dealt with (docs/recovery.md)."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.http.idempotency import WaitsForPerson, WriteDep
from app.api.http.problems import UnauthorizedError
from app.api.http.routing import problems, strict_router
from app.api.http.security import Needs, as_shown, everywhere
from app.api.http.services import JournalDep, RegisterApprovalDep
from app.api.http.wire import WireModel
from app.auth.callers import Authenticated, Caller, Scope
from app.core.register import Gated, GateProposal
from app.db.session import WriteSession
from app.journal.store import NewEpoch
from app.operations.service.check_deployment import accept_restore
from app.operations.service.gate import pass_gate

router = strict_router("operation")

_NOBODY = (409, "Nobody else could approve it, or another acceptance waits.")
_INVALID = (422, "Some fields are not as they should be.")

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


class WaitingRestore(WaitsForPerson):
    """The acceptance waits for a second person: POST /v1/proposals/{id}/approvals."""

    id: UUID


@router.post(
    "/v1/restores",
    summary="Accept a restored database as it is",
    status_code=201,
    response_model=EpochBody,
    responses={
        **problems((403, "The caller is a program, where two persons decide."), _NOBODY, _INVALID),
        202: {"model": WaitingRestore, "description": "It waits for a second person."},
    },
)
async def post_restore(  # noqa: PLR0917 - a body, and the parts that it takes
    body: RestoreAcceptance,
    caller: Recoverer,
    shown: Shown,
    write: WriteDep,
    journal: JournalDep,
    approval: RegisterApprovalDep,
) -> Response:
    """Answer from a database that was set back again, although it lacks what was withdrawn since.

    Replay the journal first (`sceau recovery replay`). Where SCEAU_REGISTER_APPROVAL is `two` this waits for another
    person (202). What is said here stays in the database, and that it was said, by whom, in the audit trail.
    """
    if await journal.has_ended(caller.id, shown.credential):  # the backup brought its key back
        raise UnauthorizedError(presented=True)

    async def accept(session: WriteSession) -> EpochBody | WaitingRestore:
        now = await session.now()
        wanted = GateProposal(session.new_id(now), Gated.RESTORE, "", {"lost": body.lost}, now, caller.id)
        waits = await pass_gate(session, caller, approval, wanted)
        if waits is not None:
            return WaitingRestore(id=waits.id)
        begun = NewEpoch(body.lost, by=caller.id)
        return EpochBody(epoch=await accept_restore(session, begun, known=journal.known))

    return await write.perform(caller, 201, accept)
