"""Routes that record, withdraw, search and read consents, and what they take and answer.

No answer holds a subject's id: the ledger does not keep it.
"""

from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from fastapi import Depends, Path, Response
from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr, model_validator

from app.api.consents.groups import ConsentBody, GroupedDep, WithdrawalBody, consent_body
from app.api.http.paging import read_cursor, write_cursor
from app.api.http.security import Needs, NeedsRemembered, problems, strict_router
from app.api.http.services import DatabaseDep, DeploymentDep
from app.api.http.wire import (
    NOTICE_EXAMPLE,
    Instant,
    PageRequest,
    ProcessingId,
    SubjectBody,
    WireModel,
    at_fault,
    examples,
)
from app.auth.callers import Caller, Scope
from app.core.article import Element
from app.core.consent import AgeBand, DefaultState, EventKind, GivenBy, PositiveAct, State
from app.core.errors import NotFoundError
from app.db.session import as_columns
from app.ledger.projection import LedgerEntry
from app.operations.consents.recorder import Collected, Withdrawal
from app.operations.consents.search_consents import (
    ConsentQuery,
    consent_history,
    find_consent,
    read_event,
    search_consents,
)

Method = Literal["web_form", "in_app", "api", "paper", "phone"]
Authenticated = Literal["mailbox", "signed_in", "signed_in_strong", "in_person", "telephone"]
"""How the user was known: as a link says it (`app.core.consent_link.Authentication`), or by the account's telephone."""
Version = Annotated[StrictInt, Field(ge=1, le=2_147_483_647)]
Language = Annotated[StrictStr, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$", examples=["fr"])]
Token = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Sha256 = Annotated[StrictStr, Field(pattern=r"^[0-9A-Fa-f]{64}$")]

_ALICE: dict[str, Any] = {"type": "user", "id": "alice@example.fr"}
_EVIDENCE: dict[str, Any] = {
    "method": "paper",
    "positive_act": "signed",
    "default_state": "unselected",
    "separate_from_terms": True,
    "conditional": False,
    "language": "fr",
    "notice_version": 1,
    "presented_text_sha256": sha256(NOTICE_EXAMPLE["fr"].encode()).hexdigest(),
    "document_sha256": sha256(b"The form as it was scanned").hexdigest(),
    "authentication": "in_person",
}


CONSENT_EXAMPLE: Final[dict[str, Any]] = {
    "subject": _ALICE,
    "processing": "ads-mail",
    "decision": "granted",
    "collected_at": "2026-11-02T09:30:00Z",  # the document says the day before it is made
    "evidence": _EVIDENCE,
}
"""The consent that the OpenAPI documents propose as an example."""


class Evidence(WireModel):
    """How the decision was collected: what proves that a consent was express."""

    method: Method
    positive_act: PositiveAct
    default_state: DefaultState
    separate_from_terms: StrictBool = Field(description="Whether it was asked apart from the terms of use")
    conditional: StrictBool = Field(description="Whether the service depended on it")
    language: Language
    notice_version: Version | Token = Field(
        description="Which version of the notice was shown: for a grant, the number of the version granted"
    )
    presented_text_sha256: Sha256 | None = Field(
        default=None, description="SHA-256 of the text shown, in UTF-8; a grant must have it"
    )
    document_sha256: Sha256 | None = Field(
        default=None,
        description="SHA-256 of the form signed on paper, as kept; by phone, of the recording or the script: required "
        "then. One document stands for one person",
    )
    authentication: Authenticated | None = Field(
        default=None, description="How the person was identified; a grant must have it"
    )


ParentChecked = Literal["identity_document", "family_record_book", "payment_card", "account_data", "declaration"]


class Capacity(WireModel):
    """How old the user is, as far as consent is concerned, and who gave it."""

    age_band: AgeBand | None = None
    given_by: GivenBy = GivenBy.SELF
    parent: SubjectBody | None = Field(
        default=None, description="Which parent, or other holder of parental responsibility; kept as a keyed reference"
    )
    parent_checked_how: ParentChecked | None = Field(
        default=None, description="How parental responsibility was checked; required with `parent`"
    )

    def check_parent(self) -> None:
        """Refuse a grant that a parent gives, alone or jointly, unless it names the parent and how that was checked."""
        if self.given_by not in {GivenBy.PARENT, GivenBy.BOTH}:
            return
        for name in ("parent", "parent_checked_how"):
            if getattr(self, name) is None:
                raise at_fault(f"capacity.{name}", "is required of a consent that a parent gives")


Territory = Literal["FR", "GP", "MQ", "GF", "RE", "YT", "BL", "MF", "PM", "WF"]


class NewConsent(WireModel):
    """A decision that a user took on one processing."""

    model_config = examples(CONSENT_EXAMPLE)

    subject: SubjectBody
    processing: ProcessingId
    decision: Literal["granted", "refused"]
    version: Version | None = Field(
        default=None,
        description="The version decided on; left out, a grant's is the notice's, a refusal's the one then in force",
    )
    elements: Annotated[list[Element], Field(min_length=1, max_length=16)] | None = Field(
        default=None, description="What a grant covers; left out, all that the version declares"
    )
    collected_at: Instant | None = Field(
        default=None, description="When the user decided: a grant must have it; a refusal that leaves it out is of now"
    )
    territory: Territory = Field(
        default="FR", description="Where it was collected (ISO 3166-1): its year ends by the calendar there or in Paris"
    )
    evidence: Evidence
    capacity: Capacity | None = None

    @model_validator(mode="after")
    def _grants_prove(self) -> Self:
        if self.decision == "granted" and self.collected_at is None:
            raise at_fault("collected_at", "a grant says when it was collected")
        if self.decision == "granted" and self.evidence.presented_text_sha256 is None:
            raise at_fault("evidence.presented_text_sha256", "a grant says which text was shown, by its SHA-256")
        if self.decision == "granted" and self.evidence.authentication is None:
            raise at_fault("evidence.authentication", "a grant says how the person was identified")
        if self.decision == "granted" and self.capacity is not None:
            self.capacity.check_parent()
        return self

    def said(self) -> Collected:
        """The grant or refusal that the body states."""
        return Collected(
            subject=self.subject.name(),
            processing=self.processing,
            kind=EventKind(self.decision),
            evidence=self.evidence.model_dump(mode="json", exclude_none=True),
            capacity=self.capacity.model_dump(mode="json", exclude_none=True) if self.capacity is not None else None,
            version=self.version,
            elements=frozenset(self.elements) if self.elements is not None else None,
            collected_at=self.collected_at,
            territory=self.territory,
        )


class NewWithdrawal(WireModel):
    """A withdrawal; without a processing, from every processing that rests on consent."""

    model_config = examples({"subject": _ALICE, "processing": "ads-mail"})

    subject: SubjectBody
    processing: ProcessingId | None = None
    received_at: Instant | None = Field(default=None, description="When it reached you, if earlier than now")
    method: Method | None = None
    capacity: Capacity | None = Field(default=None, description="What the withdrawal says of the person's age")

    def said(self) -> Withdrawal:
        """The withdrawal that the body states."""
        capacity = self.capacity.model_dump(mode="json", exclude_none=True) if self.capacity is not None else None
        return Withdrawal(self.subject.name(), self.processing, self.received_at, self.method, capacity=capacity)


class ConsentSearch(WireModel):
    """Which consents to list; what is left out does not narrow the list."""

    model_config = examples({"subject": _ALICE}, {"processing": "ads-mail", "state": "in_force"})

    subject: SubjectBody | None = None
    processing: ProcessingId | None = None
    state: State | None = None
    expires_before: Instant | None = None
    page: PageRequest = PageRequest()


class ConsentsPage(BaseModel):
    """Some consents, oldest recorded first. A page may hold fewer than `limit` and still have a next one."""

    items: list[ConsentBody]
    next_cursor: str | None = None
    known: bool | None = Field(
        default=None,
        description="When a subject is searched: whether anything is recorded of it that this caller may see, "
        "withdrawals and ages included",
    )


class EventBody(BaseModel):
    """One entry of the ledger, with what proves it."""

    id: UUID
    kind: EventKind
    processing: str | None = Field(default=None, description="Absent when it concerns every processing")
    version: int | None = None
    elements: list[Element] | None = None
    collected_at: datetime
    recorded_at: datetime
    recorded_by: UUID
    imported: bool
    stated_at: datetime | None = Field(default=None, description="The time that the caller stated")
    expires_at: datetime | None = None
    counting: str | None = Field(default=None, description="The rule by which the expiry was counted")
    evidence: dict[str, Any] | None = None
    capacity: dict[str, Any] | None = None


class HistoryBody(BaseModel):
    """Every ledger entry about a consent's subject and processing, in ledger order."""

    items: list[EventBody]


def event_body(entry: LedgerEntry) -> EventBody:
    """The wire form of a ledger entry."""
    return EventBody.model_validate({**as_columns(entry.event), **as_columns(entry)})


router = strict_router("consents")

Reader = Annotated[Caller, Depends(Needs(Scope.CONSENTS_READ))]
Writer = Annotated[Caller, Depends(NeedsRemembered(Scope.CONSENTS_WRITE))]
Ender = Annotated[Caller, Depends(NeedsRemembered(Scope.CONSENTS_WRITE, counted=False))]
"""For routes that end a consent: no rate limit refuses them."""
ConsentId = Annotated[UUID, Path(alias="id", description="The id of a consent")]
EventId = Annotated[UUID, Path(alias="id", description="The id of an entry of the ledger")]

_NOT_CONSENT = (
    409,
    "The purpose does not rest on consent, the processing is retired, or the person has consented too often in a day.",
)
_NO_PROCESSING = (404, "No such processing.")
_NO_CONSENT = (404, "No such consent.")
_NO_EVENT = (404, "No such entry.")


@router.post(
    "/v1/consents",
    status_code=201,
    summary="Record a consent or a refusal",
    response_model=ConsentBody,
    responses=problems(_NO_PROCESSING, _NOT_CONSENT),
)
async def post_consent(body: NewConsent, caller: Writer, grouped: GroupedDep) -> Response:
    """Record what a user decided on one processing, with the evidence of how.

    A grant says when it was collected and which text was shown, and its parts must agree: the version with the notice,
    the language with the text, the act with the method. Nothing left out is filled in. A grant older than the version's
    registration must be a form signed on paper, named by `document_sha256`. A refusal may lack
    hashes and `authentication`.

    A grant that was unlawfully collected (a pre-ticked box, no positive act, bundled with the terms …) is recorded
    and answered with `state: invalid` and its `defects`; it never permits. A refusal ends an earlier consent at once;
    with the scope `consents:import`, one of more than SCEAU_MAX_BACKDATING ago ends what was collected before it.
    """
    caller.require_processing(body.processing)
    return await grouped.record(caller, 201, body.said())


@router.post(
    "/v1/withdrawals",
    summary="Withdraw a consent, or all of them",
    response_model=WithdrawalBody,
    responses=problems(_NO_PROCESSING, _NOT_CONSENT),
)
async def post_withdrawal(body: NewWithdrawal, caller: Ender, grouped: GroupedDep) -> Response:
    """Withdraw. Once this has answered, no decision permits what was withdrawn.

    Recorded also when there was nothing to withdraw, so that an older paper consent imported later does not revive.
    A caller with `consents:import` that says `received_at` more than SCEAU_MAX_BACKDATING ago records it at that time:
    it ends what was collected before, and a consent of later stands. Leave `received_at` out to end that too.
    `matched: false` says that nothing that you may see was known of that id: perhaps the person has another name.
    """
    caller.require_processing(body.processing)
    return await grouped.record(caller, 200, body.said())


@router.post("/v1/consents/search", summary="Search consents")
async def post_search(
    body: ConsentSearch, caller: Reader, database: DatabaseDep, deployment: DeploymentDep
) -> ConsentsPage:
    """List consents by subject, processing, state and expiry; a POST, so that no id stands in a URL.

    States are those that a decision would see now. Go on with `page.cursor` until there is no `next_cursor`. A person
    who only ever withdrew has no consent to list: `known` says that something is recorded of that person.
    """
    if body.processing is not None:
        caller.require_processing(body.processing)
        processings: tuple[str, ...] | None = (body.processing,)
    else:
        processings = tuple(sorted(caller.processings)) if caller.processings is not None else None
    pseudonyms = deployment.pseudonyms
    query_text = f"{caller.id} {body.model_dump_json(exclude={'page'})}"
    query = ConsentQuery(
        subject=body.subject.name() if body.subject is not None else None,
        processings=processings,
        state=body.state,
        expires_before=body.expires_before,
    )
    after = read_cursor(pseudonyms, query_text, body.page.cursor)
    async with database.read() as session:
        page = await search_consents(session, deployment, query, after=after, limit=body.page.limit)
    return ConsentsPage(
        items=[consent_body(view) for view in page.items],
        next_cursor=write_cursor(pseudonyms, query_text, page.next_after),
        known=page.known,
    )


@router.get("/v1/consents/{id}", summary="Read one consent", responses=problems(_NO_CONSENT))
async def get_consent(
    identifier: ConsentId, caller: Reader, database: DatabaseDep, deployment: DeploymentDep
) -> ConsentBody:
    """One consent and its state now."""
    async with database.read() as session:
        view = await find_consent(session, deployment, identifier)
    if view is None or not caller.may_ask_about(view.event.processing or ""):
        raise NotFoundError
    return consent_body(view)


@router.get("/v1/consents/{id}/history", summary="Read the history of a consent", responses=problems(_NO_CONSENT))
async def get_history(identifier: ConsentId, caller: Reader, database: DatabaseDep) -> HistoryBody:
    """Every ledger entry about this consent's subject and processing: what was decided, when, how, and by which call.

    The audit trail records who read it.
    """
    async with database.write() as session:
        history = await consent_history(session, caller, identifier)
    if history is None:
        raise NotFoundError
    return HistoryBody(items=[event_body(entry) for entry in history])


@router.get("/v1/consent-events/{id}", summary="Read one entry of the ledger", responses=problems(_NO_EVENT))
async def get_event(identifier: EventId, caller: Reader, database: DatabaseDep) -> EventBody:
    """One entry of any kind by its id: a consent, a refusal, a withdrawal, a closure, an age.

    The audit trail records who read it. An entry about every processing is for callers that may see all of them.
    """
    async with database.write() as session:
        entry = await read_event(session, caller, identifier)
    if entry is None:
        raise NotFoundError
    return event_body(entry)
