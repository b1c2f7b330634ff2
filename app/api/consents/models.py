"""Consents, withdrawals and closures on the wire. No answer holds a subject's id: the ledger does not keep it."""

from collections.abc import Mapping
from datetime import date, datetime
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from app.api.http.wire import NOTICE_EXAMPLE, Instant, PageRequest, ProcessingId, SubjectBody, WireModel, at_fault
from app.core.article import PARIS, Element
from app.core.consent import AgeBand, DefaultState, Defect, EventKind, GivenBy, PositiveAct, State
from app.ledger.projection import LedgerEntry
from app.operations.consents.grant import Collected, ConsentView
from app.operations.consents.recorder import Withdrawal
from app.operations.service.deployment import Deployment, SubjectName

Method = Literal["web_form", "in_app", "api", "paper", "phone"]
Authenticated = Literal["mailbox", "signed_in", "signed_in_strong", "in_person", "telephone"]
"""How the user was known: as a link says it (`app.core.page.link.Authentication`), or by the account's telephone."""
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

    model_config = ConfigDict(json_schema_extra={"examples": [CONSENT_EXAMPLE]})

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


class NewWithdrawal(WireModel):
    """A withdrawal; without a processing, from every processing that rests on consent."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"subject": _ALICE, "processing": "ads-mail"}]})

    subject: SubjectBody
    processing: ProcessingId | None = None
    received_at: Instant | None = Field(default=None, description="When it reached you, if earlier than now")
    method: Method | None = None
    capacity: Capacity | None = Field(default=None, description="What the withdrawal says of the person's age")


class ConsentSearch(WireModel):
    """Which consents to list; what is left out does not narrow the list."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"subject": _ALICE}, {"processing": "ads-mail", "state": "in_force"}]}
    )

    subject: SubjectBody | None = None
    processing: ProcessingId | None = None
    state: State | None = None
    expires_before: Instant | None = None
    page: PageRequest = PageRequest()


class ConsentBody(BaseModel):
    """One consent: what a granted or refused event began, and its state now."""

    id: UUID
    subject_ref: str = Field(description="The subject's pseudonym (hex)")
    processing: str
    version: int
    decision: EventKind
    state: State
    elements: list[Element] | None = None
    collected_at: datetime
    collected_on: date = Field(description="The civil date in Paris on which the year is counted")
    expires_at: datetime | None = Field(default=None, description="First instant at which it is no longer in force")
    defects: list[Defect] | None = Field(default=None, description="Why it is invalid, given when it is recorded")


class ConsentsPage(BaseModel):
    """Some consents, oldest recorded first. A page may hold fewer than `limit` and still have a next one."""

    items: list[ConsentBody]
    next_cursor: str | None = None
    known: bool | None = Field(
        default=None,
        description="When a subject is searched: whether anything is recorded of it that this caller may see, "
        "withdrawals and ages included",
    )


class WithdrawalBody(BaseModel):
    """The entry of the ledger, the consents that ended, and since when no decision relies on them."""

    id: UUID
    matched: bool = Field(description="False when nothing was recorded of that id before: is it the right one?")
    withdrawn: list[UUID]
    effective_at: datetime


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


def consent_body(view: ConsentView) -> ConsentBody:
    """The wire form of a consent."""
    event = view.event
    return ConsentBody(
        id=event.id,
        subject_ref=view.subject_ref.hex(),
        processing=event.processing or "",
        version=event.version or 0,
        decision=event.kind,
        state=view.state,
        elements=sorted(event.elements) if event.elements is not None else None,
        collected_at=event.collected_at,
        collected_on=event.collected_at.astimezone(PARIS).date(),
        expires_at=view.expires_at,
        defects=list(view.defects) or None,
    )


def event_body(entry: LedgerEntry) -> EventBody:
    """The wire form of a ledger entry."""
    event = entry.event
    return EventBody(
        id=event.id,
        kind=event.kind,
        processing=event.processing,
        version=event.version,
        elements=sorted(event.elements) if event.elements is not None else None,
        collected_at=event.collected_at,
        recorded_at=entry.recorded_at,
        recorded_by=entry.recorded_by,
        imported=entry.imported,
        stated_at=entry.stated_at,
        expires_at=event.expires_at,
        counting=entry.counting,
        evidence=_plain(entry.evidence),
        capacity=_plain(entry.capacity),
    )


def _plain(said: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if said is None else dict(said)


def said_in_consent(body: NewConsent, deployment: Deployment) -> Collected:
    """The grant or refusal that a body states.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    return Collected(
        subject=_checked(body.subject.name(), deployment),
        processing=body.processing,
        kind=EventKind(body.decision),
        evidence=body.evidence.model_dump(mode="json", exclude_none=True),
        capacity=body.capacity.model_dump(mode="json", exclude_none=True) if body.capacity is not None else None,
        version=body.version,
        elements=frozenset(body.elements) if body.elements is not None else None,
        collected_at=body.collected_at,
        territory=body.territory,
    )


def said_in_withdrawal(body: NewWithdrawal, deployment: Deployment) -> Withdrawal:
    """The withdrawal that a body states.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    capacity = body.capacity.model_dump(mode="json", exclude_none=True) if body.capacity is not None else None
    name = _checked(body.subject.name(), deployment)
    return Withdrawal(name, body.processing, body.received_at, body.method, capacity=capacity)


def _checked(name: SubjectName, deployment: Deployment) -> SubjectName:
    deployment.pseudonyms.locator(name.type, name.id)
    return name
