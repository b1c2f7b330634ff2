"""Routes of proposals, which wait at the gate for a second person, and of rulings (docs/register.md, "Four eyes")."""

from typing import Annotated, Final, Literal, Self
from uuid import UUID

from fastapi import Depends, Response
from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr, model_validator

from app.api.http.paging import LIMIT, Cursor, Limit, read_cursor, write_cursor
from app.api.http.security import Needs, as_shown, everywhere, problems, strict_router
from app.api.http.services import DatabaseDep, JournalDep, PseudonymsDep, RegisterApprovalDep, WriteDep
from app.api.http.wire import ProcessingId, WireModel, at_fault, examples
from app.api.register.models import Reason, RetentionText
from app.api.register.views import EpochBody, GateProposalView, ProcessingView, WaitingView, processing_view
from app.auth.callers import Authenticated, Caller, Scope
from app.core.errors import CredentialEndedError
from app.core.register import Gated, GateProposal
from app.db.session import WriteSession
from app.operations.register.proposals import GateAnswer, accept_or_propose_restore, rule_on
from app.operations.service.gate import propose
from app.register.gate import list_proposals

router = strict_router("register")

_APPROVES: Final = Needs(Scope.REGISTER_APPROVE)
_PROPOSES: Final = Needs(Scope.REGISTER_APPROVE, Scope.DEPLOYMENT_RECOVER)
Reader = Annotated[Caller, Depends(everywhere(Needs(Scope.REGISTER_READ)))]
Proposer = Annotated[Caller, Depends(everywhere(_PROPOSES))]
Proposing = Annotated[Authenticated, Depends(as_shown(_PROPOSES))]
Approver = Annotated[Caller, Depends(_APPROVES)]
Approving = Annotated[Authenticated, Depends(as_shown(_APPROVES))]


class ProposalsPage(BaseModel):
    """Proposals, oldest first; `next_cursor` is there while there are more."""

    items: list[GateProposalView]
    next_cursor: str | None = None


class NewProposal(WireModel):
    """What concerns the whole deployment: shorter periods for which proof is kept, or a restored database as it is."""

    model_config = examples(
        {"kind": "restore", "lost": "Withdrawals from 14:02 to 14:05; we wrote to whom it concerns."},
        {"kind": "retention", "consent": "P4Y"},
    )

    kind: Literal["retention", "restore"]
    consent: RetentionText | None = Field(default=None, description="How long consents are kept, of a `retention`")
    refusal: RetentionText | None = Field(default=None, description="How long refusals are kept, of a `retention`")
    lost: Annotated[StrictStr, Field(min_length=1, max_length=2_000)] | None = Field(
        default=None,
        description="Of a `restore`: what is lost, or was done again by hand; no word of it may name a user",
    )

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        is_restore = self.kind == "restore"
        if is_restore != (self.lost is not None):
            raise at_fault("lost", "is needed to accept a restored database, and has no place in a retention")
        if is_restore and (self.consent or self.refusal):
            raise at_fault("kind", "a restore changes no retention")
        return self


class NewRuling(WireModel):
    """A second person's answer to a version of a processing, or to a proposal of another kind by its id."""

    model_config = examples(
        {
            "processing": "ads-mail",
            "version": 1,
            "approved": True,
            "reason": "It says what the record of processing says.",
        },
        {
            "proposal": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e11",
            "approved": True,
            "reason": "Checked against the company register.",
        },
    )

    processing: ProcessingId | None = None
    version: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = None
    proposal: UUID | None = Field(default=None, description="The id of a proposal, as GET /v1/proposals lists it")
    approved: StrictBool
    reason: Reason
    same_legal_person: StrictBool = Field(
        default=False,
        description="Of a controller: that another name or country is still the same legal person. Else, where no "
        "checked identifier says so, everybody is asked anew",
    )

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.proposal is None) == (self.processing is None) or (self.processing is None) != (self.version is None):
            raise at_fault("proposal", "name a proposal, or a processing with a version of it")
        return self

    @property
    def about(self) -> UUID | tuple[str, int]:
        """The id of the proposal that is answered, or a processing and the number of its version."""
        return self.proposal or (self.processing or "", self.version or 0)

    def ruling(self) -> GateAnswer:
        """The answer as an operation takes it."""
        return GateAnswer(self.approved, self.reason, self.same_legal_person)


@router.get("/v1/proposals", summary="List what waits for a second person")
async def get_proposals(
    caller: Reader,  # noqa: ARG001 - only callers who may read all of the register
    database: DatabaseDep,
    pseudonyms: PseudonymsDep,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> ProposalsPage:
    """Proposals of every kind, answered ones too; a version that waits stands with its processing besides."""
    after = read_cursor(pseudonyms, "proposals", cursor)
    async with database.read() as session:
        proposals = await list_proposals(session, after=after, limit=limit + 1)
    more = write_cursor(pseudonyms, "proposals", proposals[limit - 1].id if proposals[limit:] else None)
    return ProposalsPage(items=[GateProposalView.of(each) for each in proposals[:limit]], next_cursor=more)


@router.post(
    "/v1/proposals",
    status_code=202,
    summary="Propose a shorter retention, or accept a restored database",
    response_model=WaitingView,
    responses={
        **problems((403, "The caller is a program, or lacks the scope."), (409, "Nobody could approve it.")),
        201: {"model": EpochBody, "description": "The restored database is accepted: one person decides here."},
    },
)
async def post_proposal(  # noqa: PLR0917 - a body, and the parts that it takes
    body: NewProposal,
    caller: Proposer,
    shown: Proposing,
    write: WriteDep,
    journal: JournalDep,
    approval: RegisterApprovalDep,
) -> Response:
    """Propose what concerns the whole deployment (202): another person answers with `POST /v1/rulings`.

    `retention` (scope `register:approve`): shorter periods; once they are approved, `sceau consents retention sign`
    puts them in force. `restore` (scope `deployment:recover`): answer from a database that was set back again, although
    it lacks what was withdrawn since. Replay the journal first (`sceau recovery replay`). Where one person decides, it
    is accepted at once (201). What is said in `lost` stays in the database.
    """
    caller.require(Scope.REGISTER_APPROVE if body.kind == "retention" else Scope.DEPLOYMENT_RECOVER)
    if await journal.has_ended(caller.id, shown.credential):  # a backup brought its key back
        raise CredentialEndedError

    async def ask(session: WriteSession) -> WaitingView | EpochBody:
        if body.lost is not None:
            made = await accept_or_propose_restore(session, caller, body.lost, approval, known_epoch=journal.max_epoch)
        else:
            periods = {"consent": body.consent, "refusal": body.refusal}
            wanted = {kind: period for kind, period in periods.items() if period is not None}
            # A retention is proposed here even where one person may sign it.
            made = await propose(session, caller, Gated.RETENTION, "", wanted)
        return WaitingView.of(made) if isinstance(made, GateProposal) else EpochBody(epoch=made)

    return await write.perform(caller, 201, ask)


@router.post(
    "/v1/rulings",
    status_code=201,
    summary="Approve or reject what another person proposed",
    response_model=ProcessingView | GateProposalView,
    responses=problems(
        (403, "The caller is a program, or may be the same human being as who proposed it."),
        (404, "No such processing, version or proposal."),
        (409, "It does not wait, or what it is about has changed."),
    ),
)
async def post_ruling(
    body: NewRuling, caller: Approver, shown: Approving, write: WriteDep, journal: JournalDep
) -> Response:
    """Answer a proposal. What is approved takes effect with this answer, what is rejected never.

    An approved retention takes effect once it is signed, an approved import once it is sent again.

    An approved version is in force from now on, or from its own instant if that is later; a new processing whose first
    version is rejected is retired. The answer is the processing, or the proposal. The reason is kept.

    For persons: the approver is another caller than the proposer, and not the same human being, as far as the makers of
    the two callers show. The proposer may withdraw a proposal by rejecting it.
    """
    caller.require_processing(body.processing)
    if await journal.has_ended(caller.id, shown.credential):  # a backup brought its key back
        raise CredentialEndedError

    async def rule(session: WriteSession) -> ProcessingView | GateProposalView:
        made = await rule_on(session, caller, body.about, body.ruling(), known_epoch=journal.max_epoch)
        if isinstance(made, GateProposal):
            return GateProposalView.of(made)
        return processing_view(made, await session.now())

    return await write.perform(caller, 201, rule)
