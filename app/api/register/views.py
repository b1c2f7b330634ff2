"""The register's answers on the wire."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from html import escape
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from app.api.http.services import WaitsForPerson
from app.api.http.wire import RecordView
from app.api.register.models import ParticularsView
from app.core.article import Element, ProviderKind, Purpose
from app.core.consent_text import ConsentText
from app.core.processing import PartyMode, Status
from app.core.register import Gated, ProposalState, RegisterWarning, version_changes, warnings_of
from app.core.wording import Passage, typeset
from app.register.records import Proposal, Registered, VersionRecord, present
from app.register.store import InvalidationRecord, columns_of, version_from_json


class VersionView(ParticularsView):
    """One version as registered."""

    number: int
    effective_from: datetime
    recorded_at: datetime
    controllers: list[str] = Field(description="Ids of the controllers' records")
    provider_kind: ProviderKind
    service: str
    elements: list[Element]
    automated: bool
    party_mode: PartyMode
    started_on: date
    consent_validity: str
    material: bool
    name: dict[str, str]
    notice: dict[str, str]
    notice_sha256: dict[str, str] = Field(description="SHA-256 (hex) of each notice's UTF-8 text")
    data_recipients: list[str]
    retention: str
    age_statement_required: bool
    data_protection_contact: str | None = None


class ChangeView(RecordView):
    """One fact that differs from the version before; null where there is nothing."""

    field: str
    before: Any = None
    after: Any = None
    material: bool = Field(description="Whether it makes a version material by itself")


class RulingView(RecordView):
    """What a second person answered, and why; `by` is the id of a caller."""

    approved: bool
    reason: str
    at: datetime
    by: UUID


class ListedVersionView(VersionView):
    """One version, what it changed, and how it was approved if it had to be."""

    state: ProposalState = Field(description="`approved` also where no second person was needed")
    reason: str | None = Field(default=None, description="Why it was added, in the words of the caller who added it")
    proposed_by: UUID | None = Field(default=None, description="The caller that proposed it")
    ruling: RulingView | None = None
    changes: list[ChangeView] | None = Field(
        default=None, description="What differs from the approved version before it; absent of the first"
    )
    invalidated_at: datetime | None = Field(default=None, description="Since when no consent to it permits")


class StatusView(RecordView):
    """One change of status."""

    at: datetime
    status: Status


class ProcessingView(BaseModel):
    """A processing: its present version and status; `paragraph` is the one of L32-3 that governs its purpose."""

    id: str
    controller: str = Field(description="The legal name, today, of the first of its controllers")
    controllers: list[str] = Field(description="Ids of the records of its controllers")
    purpose: Purpose
    paragraph: str | None = Field(
        default=None, description="`L32-3 III` or `L32-3 IV`; absent for a purpose in neither"
    )
    status: Status
    warnings: list[RegisterWarning] = Field(description="What is unusual for a purpose of III, and was justified")
    registered_at: datetime
    version: VersionView | None = Field(default=None, description="The version in force")
    versions: int = Field(description="How many approved versions there are, those to come included")
    proposed_version: int | None = Field(default=None, description="The version that waits for a second person")
    status_changes: list[StatusView]


class ProcessingsPage(BaseModel):
    """All processings, by id."""

    items: list[ProcessingView]


class InvalidationView(BaseModel):
    """One invalidation: what it strikes, since when, who asked for it and why."""

    number: int
    version: int | None = None
    text: str | None = None
    reason: str
    requested_at: datetime = Field(validation_alias="asked_at")
    requested_by: UUID = Field(description="The id of a caller", validation_alias="by")
    at: datetime

    @classmethod
    def of(cls, record: InvalidationRecord) -> Self:
        """The wire form of an invalidation."""
        return cls.model_validate({**asdict(record), **asdict(record.struck)})


class VersionsPage(BaseModel):
    """All versions of one processing, and all its invalidations, each by number."""

    items: list[ListedVersionView]
    invalidations: list[InvalidationView]


class PreviewedText(BaseModel):
    """A text as the consent page would show it: `plain` is what is hashed, `html` its part of the page, unstyled."""

    plain: str
    sha256: str
    html: str


class PreviewView(BaseModel):
    """The text of a processing in each language."""

    texts: dict[str, PreviewedText]


class GateProposalView(RecordView):
    """What waits, or waited, for a second person."""

    id: UUID
    kind: Gated
    target: str = Field(description="The id of the processing or controller; empty for the deployment")
    wanted: dict[str, Any] = Field(description="What is to be done")
    state: ProposalState
    proposed_at: datetime = Field(validation_alias="at")
    proposed_by: UUID = Field(validation_alias="by")
    ruling: RulingView | None = None

    @field_validator("wanted")
    @classmethod
    def _on_the_wire(cls, wanted: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """Name all fields of a version as the wire does."""
        if info.data["kind"] is not Gated.VERSION:
            return wanted
        version = version_from_json(wanted)
        view = version_view(version).model_dump(mode="json", exclude_none=True)
        return view if version.reason is None else {**view, "reason": version.reason}


class WaitingView(GateProposalView, WaitsForPerson):
    """What was asked waits for a second person: approve it with POST /v1/rulings."""


class EpochBody(BaseModel):
    """The epoch that began when a restored database was accepted."""

    epoch: int


def version_view(version: VersionRecord) -> VersionView:
    """The wire form of a version."""
    return VersionView.model_validate(_members(version))


def _members(version: VersionRecord) -> dict[str, Any]:
    columns = columns_of(version)
    del columns["reason"]
    hashes = {language: digest for language in version.notice if (digest := version.notice_hash(language)) is not None}
    effective_from = version.facts.effective_from or version.recorded_at
    return {**columns.pop("particulars"), **columns, "effective_from": effective_from, "notice_sha256": hashes}


def versions_view(entry: Registered, struck: Sequence[InvalidationRecord]) -> VersionsPage:
    """The wire form of all versions by number, also those that were never approved, and of all invalidations."""
    proposals = {each.version.facts.number: each for each in entry.proposals}
    approved = {each.facts.number: each for each in entry.record.versions}
    items = []
    for number in sorted(proposals.keys() | approved.keys()):
        proposal = proposals.get(number)
        version = approved[number] if number in approved else proposals[number].version
        before = [each for each in entry.record.versions if each.facts.number < number][-1:]
        listed = _listed(version, before, proposal)
        ended = (each.at for each in entry.record.invalidations if each.version == number)
        items.append(listed.model_copy(update={"invalidated_at": next(ended, None)}))
    return VersionsPage(items=items, invalidations=[InvalidationView.of(each) for each in struck])


def _listed(version: VersionRecord, before: Sequence[VersionRecord], proposal: Proposal | None) -> ListedVersionView:
    changes = [
        ChangeView.of(change)
        for last in before
        for change in version_changes(last.facts, version.facts, words_before=last.texts, words_after=version.texts)
    ]
    made = proposal.made if proposal is not None else None
    return ListedVersionView(
        **_members(version),
        state=made.state if made is not None else ProposalState.APPROVED,
        reason=version.reason,
        proposed_by=made.by if made is not None else None,
        ruling=RulingView.of(made.ruling) if made is not None and made.ruling is not None else None,
        changes=changes if before else None,
    )


def processing_view(entry: Registered, now: datetime) -> ProcessingView:
    """The wire form of a processing as it stands now."""
    record, facts = entry.record, entry.record.facts
    at = present(now, {}, record)
    current = facts.version_at(at)
    shown = record.version(current.number) if current is not None else None
    paragraph = "L32-3 III" if facts.is_exempt else "L32-3 IV" if facts.rests_on_consent else None
    return ProcessingView(
        id=record.id,
        controller=record.names_of(shown or record.versions[0])[0],
        controllers=list((shown or record.versions[0]).controllers),
        purpose=record.purpose,
        paragraph=paragraph,
        status=facts.status_at(at),
        warnings=list(warnings_of(record.purpose, shown.facts, shown.texts)) if shown is not None else [],
        registered_at=record.registered_at,
        version=version_view(shown) if shown is not None else None,
        versions=len(record.versions),
        proposed_version=entry.waiting.version.facts.number if entry.waiting is not None else None,
        status_changes=[StatusView.of(each) for each in record.status_changes],
    )


def previewed(text: ConsentText) -> PreviewedText:
    """A text as it is hashed, and as HTML: a heading, then questions and answers, spaced as on the page.

    Spacing changes only white space, and the hash takes any run of white space for one space.
    """
    lines = [_element("h2", text.name, text.language), '<dl class="said">']
    for row in text.rows:
        lines.append(_element("dt", Passage(row.question, text.language), text.language))
        lines += [_element("dd", answer, text.language) for answer in row.answers]
    return PreviewedText(plain=text.plain, sha256=text.sha256, html="\n".join([*lines, "</dl>"]))


def _element(tag: str, passage: Passage, language: str) -> str:
    spoken = f' lang="{passage.language}"' if passage.language != language else ""
    return f"<{tag}{spoken}>{escape(typeset(passage.text, passage.language))}</{tag}>"
