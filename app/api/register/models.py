"""The register on the wire."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictStr

from app.api.http.wire import Instant, Name, ProcessingId, WireModel
from app.core.article import Element, ProviderKind, Purpose
from app.core.errors import InvalidPeriodError
from app.core.period import ConsentPeriod
from app.core.processing import PartyMode, Status
from app.core.retention import Retention
from app.operations.register.version_draft import VersionDraft
from app.register.records import ProcessingRecord, VersionRecord


def _consent_period(text: str) -> str:
    try:
        ConsentPeriod.parse(text)
    except InvalidPeriodError as error:
        raise ValueError(error.detail) from None
    return text


def _retention(text: str) -> str:
    try:
        Retention.parse(text)
    except InvalidPeriodError as error:
        raise ValueError(error.detail) from None
    return text


_CIVIL_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _written_out(value: object) -> object:
    """Pydantic would also take a number for seconds since 1970, or a time at midnight."""
    if not isinstance(value, str) or _CIVIL_DATE.fullmatch(value) is None:
        raise ValueError("must be a date such as 2026-01-15")
    return value


CivilDate = Annotated[date, BeforeValidator(_written_out)]
ConsentValidity = Annotated[
    StrictStr,
    Field(pattern=r"^P[1-9][0-9]{0,2}[YMWD]$", description="ISO 8601, at most one year", examples=["P1Y"]),
    AfterValidator(_consent_period),
]
RetentionText = Annotated[
    StrictStr,
    Field(pattern=r"^P[0-9YMWDTHS]{2,40}$", description="ISO 8601 duration", examples=["P30D"]),
    AfterValidator(_retention),
]
Sentence = Annotated[StrictStr, Field(min_length=1, max_length=10_000)]
Contact = Annotated[StrictStr, Field(min_length=1, max_length=300)]
Label = Annotated[Name, Field(max_length=128)]


class Words(WireModel):
    """A text in French and in English; French is required."""

    fr: Sentence
    en: Sentence | None = None

    def by_language(self) -> dict[str, str]:
        """The languages there are."""
        return self.model_dump(exclude_none=True)


_VERSION_EXAMPLE: dict[str, Any] = {
    "controller": "Exemple Courriel SAS",
    "provider_kind": "operator",
    "service": "mail",
    "purpose": "advertising",
    "elements": ["content", "subject_line"],
    "automated": True,
    "party_mode": "all_local_users",
    "started_on": "2026-01-15",
    "consent_validity": "P1Y",
    "name": {"fr": "Publicité dans la messagerie", "en": "Advertising in the mailbox"},
    "notice": {
        "fr": "Avec votre accord, le contenu et l'objet de vos messages sont analysés pour choisir des publicités.",
        "en": "If you agree, the content and subject line of your messages are analysed to choose advertisements.",
    },
    "data_recipients": ["Exemple Régie SA"],
    "retention": "P30D",
    "data_protection_contact": "dpo@exemple-courriel.example",
}


class VersionBody(WireModel):
    """All that one version of a processing says."""

    controller: Annotated[StrictStr, Field(min_length=1, max_length=300)]
    provider_kind: ProviderKind
    service: Label = Field(description="Which service runs it, such as mail or chat")
    purpose: Purpose
    elements: Annotated[list[Element], Field(min_length=1, max_length=16)]
    automated: StrictBool
    party_mode: PartyMode = Field(description="Whose consent it needs; there is no default: choose")
    started_on: CivilDate = Field(description="The day on which the processing was put in place")
    consent_validity: ConsentValidity
    name: Words
    notice: Words = Field(description="The text shown when consent is asked; its SHA-256 is part of the proof")
    data_recipients: Annotated[list[Label], Field(max_length=100)]
    retention: RetentionText
    age_statement_required: StrictBool = Field(
        default=False, description="Whether a grant counts only once an age of the user was stated"
    )
    data_protection_contact: Contact | None = Field(
        default=None, description="Whom people write to about their data, as the consent page shows it"
    )

    def draft(self) -> VersionDraft:
        """The core's form of it."""
        return VersionDraft(
            controller=self.controller,
            purpose=self.purpose,
            provider_kind=self.provider_kind,
            service=self.service,
            elements=frozenset(self.elements),
            automated=self.automated,
            party_mode=self.party_mode,
            started_on=self.started_on,
            consent_validity=ConsentPeriod.parse(self.consent_validity),
            name=self.name.by_language(),
            notice=self.notice.by_language(),
            data_recipients=frozenset(self.data_recipients),
            retention=Retention.parse(self.retention),
            contact=self.data_protection_contact,
            age_statement_required=self.age_statement_required,
        )


class NewProcessing(VersionBody):
    """A processing to register, with its first version."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "ads-mail", **_VERSION_EXAMPLE}]})

    id: ProcessingId


class NewVersion(VersionBody):
    """A full new version of a registered processing."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**_VERSION_EXAMPLE, "retention": "P7D", "material": False}]}
    )

    material: StrictBool = Field(description="Whether consents given before must be asked again")
    effective_from: Instant | None = Field(default=None, description="Now or later; now when left out")


class StatusBody(WireModel):
    """The status that a processing gets from now on; `retired` is final."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "active"}, {"status": "suspended"}]})

    status: Status


class VersionView(BaseModel):
    """One version as registered."""

    number: int
    effective_from: datetime
    recorded_at: datetime
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


class StatusView(BaseModel):
    """One change of status."""

    at: datetime
    status: Status


class ProcessingView(BaseModel):
    """A processing: its present version and status; `paragraph` is the one of L32-3 that governs its purpose."""

    id: str
    controller: str
    purpose: Purpose
    paragraph: str | None = Field(
        default=None, description="`L32-3 III` or `L32-3 IV`; absent for a purpose in neither"
    )
    status: Status
    registered_at: datetime
    version: VersionView | None = Field(default=None, description="The version in force")
    versions: int = Field(description="How many versions there are, those to come included")
    status_changes: list[StatusView]


class ProcessingsPage(BaseModel):
    """All processings, by id."""

    items: list[ProcessingView]


class VersionsPage(BaseModel):
    """All versions of one processing, by number."""

    items: list[VersionView]


def version_view(version: VersionRecord) -> VersionView:
    """The wire form of a version."""
    facts = version.facts
    hashes = {language: digest for language in version.notice if (digest := version.notice_hash(language)) is not None}
    return VersionView(
        number=facts.number,
        effective_from=facts.effective_from or version.recorded_at,
        recorded_at=version.recorded_at,
        provider_kind=facts.provider_kind,
        service=facts.service,
        elements=sorted(facts.elements),
        automated=facts.automated,
        party_mode=facts.party_mode,
        started_on=facts.started_on,
        consent_validity=str(facts.consent_validity),
        material=facts.material,
        name=dict(version.name),
        notice=dict(version.notice),
        notice_sha256=hashes,
        data_recipients=sorted(facts.data_recipients),
        retention=str(facts.retention),
        age_statement_required=facts.age_statement_required,
        data_protection_contact=version.contact,
    )


def processing_view(record: ProcessingRecord, at: datetime) -> ProcessingView:
    """The wire form of a processing at an instant."""
    facts = record.facts
    current = facts.version_at(at)
    shown = record.version(current.number) if current is not None else None
    paragraph = "L32-3 III" if facts.is_exempt else "L32-3 IV" if facts.rests_on_consent else None
    return ProcessingView(
        id=record.id,
        controller=record.controller,
        purpose=record.purpose,
        paragraph=paragraph,
        status=facts.status_at(at),
        registered_at=record.registered_at,
        version=version_view(shown) if shown is not None else None,
        versions=len(record.versions),
        status_changes=[StatusView(at=change.at, status=change.status) for change in record.status_changes],
    )
