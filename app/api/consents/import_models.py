"""Imports on the wire: rows that an older system had, and what became of each."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, StrictBool, StrictInt, StrictStr, model_validator

from app.api.consents.models import Authenticated, Capacity, Language, Method, Sha256, Territory, Token, Version
from app.api.http.problems import Problem
from app.api.http.wire import Instant, ProcessingId, SubjectBody, WireModel, at_fault
from app.core.article import Element
from app.core.consent import DefaultState, PositiveAct, State

MOST: int = 500
"""How many rows one request may hold."""
ImportName = Annotated[
    StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="What the import is called")
]

_UNTIL = "2026-06-01T00:00:00Z"
_ROW: dict[str, Any] = {
    "source_id": "crm-4711",
    "subject": {"type": "user", "id": "paul@example.fr"},
    "processing": "ads-mail",
    "decision": "granted",
    "at": "2026-03-10T09:00:00Z",
    "evidence": {"method": "paper", "positive_act": "signed", "language": "fr"},
}


class ImportedEvidence(WireModel):
    """What the older system kept of how it was collected; what it did not keep is left out, and proves nothing."""

    method: Method | None = None
    positive_act: PositiveAct | None = None
    default_state: DefaultState | None = None
    separate_from_terms: StrictBool | None = None
    conditional: StrictBool | None = None
    language: Language | None = None
    notice_version: Version | Token | None = None
    presented_text_sha256: Sha256 | None = None
    document_sha256: Sha256 | None = None
    authentication: Authenticated | None = None


class ImportRow(WireModel):
    """One decision that another system recorded."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ROW]})

    source_id: Annotated[StrictStr, Field(min_length=1, max_length=200)] = Field(
        description="What the older system calls it: a row is recorded once; kept as a keyed hash only"
    )
    subject: SubjectBody
    processing: ProcessingId | None = Field(default=None, description="Left out: a withdrawal from every processing")
    decision: Literal["granted", "refused", "withdrawn"]
    at: Instant = Field(description="When the person decided")
    version: Version | None = None
    elements: Annotated[list[Element], Field(min_length=1, max_length=16)] | None = None
    territory: Territory = "FR"
    evidence: ImportedEvidence | None = None
    capacity: Capacity | None = None
    joint_form: StrictBool = Field(
        default=False, description="Whether several people signed the form that `document_sha256` names"
    )

    @model_validator(mode="after")
    def _specific(self) -> Self:
        if self.processing is None and self.decision != "withdrawn":
            raise at_fault("processing", "a grant or a refusal is of one processing")
        return self


class NewImport(WireModel):
    """Rows of one import."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"import": "crm-2026", "until": _UNTIL, "grants_expected": 1, "dry_run": True, "rows": [_ROW]}]
        }
    )

    name: ImportName = Field(alias="import")
    rows: Annotated[list[SkipValidation[ImportRow]], Field(max_length=MOST)] = Field(
        description="Each is checked and answered for itself"
    )
    dry_run: StrictBool = Field(default=False, description="Judge the rows, and record nothing")
    notify: StrictBool = Field(default=False, description="Tell receivers of each decision, as of a live one")
    grants_expected: Annotated[StrictInt, Field(ge=0, le=10_000_000_000)] = Field(
        default=0,
        description="How many grants the whole import holds: where two persons decide, another approves so many",
    )
    until: Instant | None = Field(
        default=None,
        description="Until when the older system decided; an import of grants must have it, the same each time. A "
        "grant after that instant, or after a no that was recorded here, is `unknown`",
    )


class RowAnswer(BaseModel):
    """What became of a row."""

    source_id: str | None = None
    result: Literal["recorded", "unchanged", "refused"]
    id: UUID | None = Field(default=None, description="The entry of the ledger; of a dry run, none")
    state: State | None = Field(default=None, description="The state of the consent at the moment of recording")
    proof: Literal["stated", "unknown"] | None = Field(
        default=None,
        description="Of a grant: `stated` as the file claims it; one that is `unknown` is recorded, and never permits",
    )
    problem: Problem | None = None


class ImportAnswer(BaseModel):
    """What became of each row, in their order, and how many of each there were."""

    recorded: int
    unchanged: int
    refused: int
    rows: list[RowAnswer]


class ImportView(BaseModel):
    """One import, what it has recorded so far, and whether another person approved it."""

    name: str
    made_by: UUID
    begun_at: datetime
    rows: int
    grants: int
    expected: int = Field(description="How many grants its caller says that there are: so many an approval is for")
    approved_by: UUID | None = None
    approved_at: datetime | None = None
    reason: str | None = None
    until: datetime | None = Field(default=None, description="Until when the older system decided")


class ImportsBody(BaseModel):
    """The imports there were, the latest begun first."""

    items: list[ImportView]


class ApprovalBody(WireModel):
    """What is approved, as it was looked at, and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "grants_expected": 1,
                    "until": _UNTIL,
                    "reason": "Compared with the archive, line by line.",
                }
            ]
        }
    )

    grants_expected: Annotated[StrictInt, Field(ge=0, le=2_147_483_647)] = Field(
        description="How many grants are approved: the `expected` that was looked at"
    )
    until: Instant | None = Field(description="Of until when: that of the import that was looked at")
    reason: Annotated[StrictStr, Field(min_length=1, max_length=1000)]
