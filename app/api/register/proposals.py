"""What waits at the gate for a second person, and the answer to it (docs/register.md, "Four eyes")."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from app.api.http.idempotency import WriteDep
from app.api.http.paging import LIMIT, Cursor, Limit, read_cursor, write_cursor
from app.api.http.problems import UnauthorizedError
from app.api.http.routing import problems, strict_router
from app.api.http.security import Needs, as_shown, everywhere
from app.api.http.services import DatabaseDep, JournalDep, PseudonymsDep
from app.api.http.wire import WireModel
from app.api.register.models import Reason, RetentionText
from app.api.register.views import GateProposalView, WaitingView
from app.auth.callers import Authenticated, Caller, Scope
from app.db.session import WriteSession
from app.operations.register.proposals import approve_proposal, propose_retention, reject_proposal
from app.register.gate import list_proposals

router = strict_router("register")

_APPROVES = Needs(Scope.REGISTER_APPROVE)
Reader = Annotated[Caller, Depends(everywhere(Needs(Scope.REGISTER_READ)))]
Approver = Annotated[Caller, Depends(everywhere(_APPROVES))]
Shown = Annotated[Authenticated, Depends(as_shown(_APPROVES))]
Id = Annotated[UUID, Path(alias="id", description="The id of a proposal")]

_INVALID = (422, "Some fields are not as they should be.")
_RULED = problems(
    (403, "The caller is a program, or may be the same human being as who proposed it."),
    (404, "No such proposal."),
    (409, "It does not wait, or what it is about has changed."),
    _INVALID,
)


class ProposalsPage(BaseModel):
    """Proposals, oldest first; `next_cursor` is there while there are more."""

    items: list[GateProposalView]
    next_cursor: str | None = None


class NewRetention(WireModel):
    """Shorter periods for which proof is kept, which the owner signs once they are approved."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "retention", "consent": "P4Y"}]})

    kind: Literal["retention"]
    consent: RetentionText | None = None
    refusal: RetentionText | None = None


class GateAnswer(WireModel):
    """A second person's answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Checked against the company register."}]})

    reason: Reason


class GateApproval(GateAnswer):
    """A second person's yes."""

    same_legal_person: StrictBool = Field(
        default=False,
        description="Of a controller: that another name or country is still the same legal person. Else, where no "
        "checked identifier says so, everybody is asked anew",
    )


@router.get(
    "/v1/proposals",
    summary="List what waits for a second person",
    response_model_exclude_none=True,
    responses=problems(_INVALID),
)
async def get_proposals(
    caller: Reader,  # noqa: ARG001 - whoever may read all of the register
    database: DatabaseDep,
    pseudonyms: PseudonymsDep,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> ProposalsPage:
    """Proposals of every kind but versions and imports, which have routes of their own; answered ones too."""
    after = read_cursor(pseudonyms, "proposals", cursor)
    async with database.read() as session:
        found = await list_proposals(session, after=after, limit=limit + 1)
    more = write_cursor(pseudonyms, "proposals", found[limit - 1].id if found[limit:] else None)
    return ProposalsPage(items=[GateProposalView.of(each) for each in found[:limit]], next_cursor=more)


@router.post(
    "/v1/proposals",
    status_code=202,
    summary="Propose to keep proof for a shorter time",
    response_model=WaitingView,
    responses=problems((403, "The caller is a program."), (409, "Nobody could approve it."), _INVALID),
)
async def post_proposal(body: NewRetention, caller: Approver, write: WriteDep) -> Response:
    """Propose shorter periods of retention. Once approved, `sceau consents retention sign` puts them in force."""

    async def propose(session: WriteSession) -> WaitingView:
        periods = {"consent": body.consent, "refusal": body.refusal}
        wanted = {kind: period for kind, period in periods.items() if period is not None}
        return WaitingView.of(await propose_retention(session, caller, wanted))

    return await write.perform(caller, 202, propose)


@router.post(
    "/v1/proposals/{id}/approvals",
    status_code=201,
    summary="Approve a proposal",
    response_model=GateProposalView,
    responses=_RULED,
)
async def post_proposal_approval(  # noqa: PLR0917 - a body, and the parts that it takes
    identifier: Id, body: GateApproval, caller: Approver, shown: Shown, write: WriteDep, journal: JournalDep
) -> Response:
    """Approve what another person proposed: it takes effect. The reason is kept.

    For persons: never for who proposed it, nor for whoever may be the same human being, by who made the two callers.
    """
    if await journal.has_ended(caller.id, shown.credential):  # a backup brought its key back
        raise UnauthorizedError(presented=True)

    async def approve(session: WriteSession) -> GateProposalView:
        made = await approve_proposal(
            session,
            caller,
            identifier,
            body.reason,
            known_epoch=journal.known,
            same_legal_person=body.same_legal_person,
        )
        return GateProposalView.of(made)

    return await write.perform(caller, 201, approve)


@router.post(
    "/v1/proposals/{id}/rejections",
    status_code=201,
    summary="Reject a proposal",
    response_model=GateProposalView,
    responses=_RULED,
)
async def post_proposal_rejection(identifier: Id, body: GateAnswer, caller: Approver, write: WriteDep) -> Response:
    """Reject what was proposed: nothing changes. The reason is kept. Who proposed it may take it back so."""

    async def reject(session: WriteSession) -> GateProposalView:
        return GateProposalView.of(await reject_proposal(session, caller, identifier, body.reason))

    return await write.perform(caller, 201, reject)
