"""The bodies that callers send to the register."""

from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictStr, model_validator

from app.api.http.wire import (
    NOTICE_EXAMPLE,
    CivilDate,
    Instant,
    Name,
    ProcessingId,
    Territory,
    WireModel,
    at_fault,
    examples,
)
from app.core.article import Element, ProviderKind, Purpose
from app.core.errors import InvalidPeriodError
from app.core.period import ConsentPeriod, Retention
from app.core.processing import PartyMode, ProcessingVersion, Recipient, Status, Transfer
from app.operations.register.add_version import VersionDraft
from app.register.records import Particulars


def _parsed(parse: Callable[[str], object]) -> AfterValidator:
    def check(text: str) -> str:
        try:
            parse(text)
        except InvalidPeriodError as error:
            raise ValueError(error.detail) from None
        return text

    return AfterValidator(check)


def _https(text: str) -> str:
    try:
        url = urlsplit(text)
        is_one = url.scheme == "https" and bool(url.hostname) and url.username is None and url.port != 0
    except ValueError:
        is_one = False
    if not is_one or not text.isascii() or any(character.isspace() for character in text):
        raise ValueError("must be an https address, such as https://www.example.fr/privacy")
    return text


ConsentValidity = Annotated[
    StrictStr,
    Field(pattern=r"^P[1-9][0-9]{0,2}[YMWD]$", description="ISO 8601, at most one year", examples=["P1Y"]),
    _parsed(ConsentPeriod.parse),
]
RetentionText = Annotated[
    StrictStr,
    Field(pattern=r"^P[0-9YMWDTHS]{2,40}$", description="ISO 8601 duration", examples=["P30D"]),
    _parsed(Retention.parse),
]
Sentence = Annotated[StrictStr, Field(min_length=1, max_length=10_000)]
Reason = Annotated[StrictStr, Field(min_length=1, max_length=2_000, pattern=r"\S")]
Contact = Annotated[StrictStr, Field(min_length=1, max_length=300)]
Label = Annotated[Name, Field(max_length=128)]
LegalName = Annotated[StrictStr, Field(min_length=1, max_length=300)]
Paragraph = Annotated[StrictStr, Field(min_length=1, max_length=5_000)]
Address = Annotated[
    StrictStr,
    Field(min_length=9, max_length=2_000, examples=["https://www.example.fr/privacy"]),
    AfterValidator(_https),
]
ControllerId = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$", examples=["exemple-courriel"])]


class Words(WireModel):
    """A text in French and in English; French is required."""

    fr: Sentence
    en: Sentence | None = None

    def by_language(self) -> dict[str, str]:
        """The texts that are given, by language."""
        return self.model_dump(exclude_none=True)


class RecipientBody(WireModel):
    """Who receives data."""

    name: Label
    role: Label | None = Field(default=None, description="Such as processor, joint controller or third party")
    country: Territory | None = None


class TransferBody(WireModel):
    """A transfer out of the European Union."""

    country: Territory
    safeguards: Paragraph = Field(description="What makes it lawful (GDPR, chapter V)")


class ParticularsBody(WireModel):
    """What the page and the record of processing activities (GDPR 30) tell, and no rule reads; all of it optional."""

    categories_of_persons: Annotated[list[Label], Field(max_length=50)] | None = None
    recipients: Annotated[list[RecipientBody], Field(max_length=100)] | None = Field(
        default=None, description="Whoever `data_recipients` names, with role and country; that may then be left out"
    )
    transfers: Annotated[list[TransferBody], Field(max_length=50)] | None = None
    storage_location: Paragraph | None = None
    security_measures: Paragraph | None = None
    dpia_reference: Label | None = Field(default=None, description="Reference of the impact assessment (GDPR 35)")
    automated_decisions: Paragraph | None = Field(default=None, description="Whether, and which (GDPR 22)")
    privacy_policy: Address | None = None
    legal_notice: Address | None = None
    accessibility_statement: Address | None = None
    logo: Address | None = None
    consequences: Words | None = Field(default=None, description="What refusing changes, as the operator asserts it")
    conditional: StrictBool | None = Field(
        default=None, description="Whether the operator makes a service depend on this consent"
    )
    derived_data_erased_within: RetentionText | None = Field(
        default=None, description="How soon after a withdrawal what was derived is erased"
    )
    justification: Paragraph | None = Field(
        default=None, description="Required of a purpose of III with data recipients or a retention above P30D"
    )

    def particulars(self) -> Particulars:
        """The register's form of the particulars."""
        values = {each.name: getattr(self, each.name) for each in fields(Particulars)}
        values["consequences"] = self.consequences.by_language() if self.consequences is not None else None
        return Particulars(**values)


class RecipientView(BaseModel):
    """Who receives data."""

    name: str
    role: str | None = None
    country: str | None = None


class TransferView(BaseModel):
    """A transfer out of the European Union."""

    country: str
    safeguards: str


class ParticularsView(BaseModel):
    """What the page and the record of processing activities tell, and no rule reads."""

    categories_of_persons: list[str] | None = None
    recipients: list[RecipientView] | None = None
    transfers: list[TransferView] | None = None
    storage_location: str | None = None
    security_measures: str | None = None
    dpia_reference: str | None = None
    automated_decisions: str | None = None
    privacy_policy: str | None = None
    legal_notice: str | None = None
    accessibility_statement: str | None = None
    logo: str | None = None
    consequences: dict[str, str] | None = None
    conditional: bool | None = None
    derived_data_erased_within: str | None = None
    justification: str | None = None


VERSION_EXAMPLE: dict[str, Any] = {
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
    "notice": dict(NOTICE_EXAMPLE),
    "data_recipients": ["Exemple Régie SA"],
    "retention": "P30D",
    "data_protection_contact": "dpo@exemple-courriel.example",
}


class VersionBody(ParticularsBody):
    """All that one version of a processing says."""

    controller: LegalName | None = Field(
        default=None,
        description="The controller's legal name: it stands for a record of kind `other`, which is made if there is "
        "none. Either this or `controllers`",
    )
    controllers: Annotated[list[ControllerId], Field(min_length=1, max_length=20)] | None = Field(
        default=None, description="Ids of the controllers' records; several are joint controllers (GDPR 26)"
    )
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
    data_recipients: Annotated[list[Label], Field(max_length=100)] | None = Field(
        default=None,
        description="Names of who else receives data, none if it is empty; may be left out beside recipients",
    )
    retention: RetentionText
    age_statement_required: StrictBool = Field(
        default=False, description="Whether a grant counts only once an age of the user was stated"
    )
    data_protection_contact: Contact | None = Field(
        default=None, description="The contact for people's questions about their data, as the consent page shows it"
    )

    @model_validator(mode="after")
    def _names_controllers_once(self) -> Self:
        if (self.controller is None) == (self.controllers is None):
            raise at_fault("controller", "name the controllers either in controllers or by one legal name here")
        if self.controllers is not None and len(set(self.controllers)) < len(self.controllers):
            raise at_fault("controllers", "names a controller twice")
        return self

    @model_validator(mode="after")
    def _recipients_agree(self) -> Self:
        if self.data_recipients is None and self.recipients is None:
            raise at_fault("data_recipients", "must be given: an empty list says that nobody receives data")
        named = {each.name for each in self.recipients or ()}
        if self.data_recipients is not None and self.recipients is not None and named != set(self.data_recipients):
            raise at_fault("data_recipients", "must be the names of recipients, or be left out")
        return self

    def draft(self, reason: str | None = None) -> VersionDraft:
        """The version as an operation takes it."""
        return VersionDraft(
            controller=self.controller,
            controllers=tuple(self.controllers or ()),
            purpose=self.purpose,
            facts=self._facts(),
            name=self.name.by_language(),
            notice=self.notice.by_language(),
            contact=self.data_protection_contact,
            particulars=self.particulars(),
            reason=reason,
        )

    def _facts(self) -> ProcessingVersion:
        named, erased = self.data_recipients or (), self.derived_data_erased_within
        recipients = self.recipients if self.recipients is not None else [RecipientBody(name=each) for each in named]
        return ProcessingVersion(
            number=1,
            effective_from=None,
            provider_kind=self.provider_kind,
            elements=frozenset(self.elements),
            automated=self.automated,
            party_mode=self.party_mode,
            started_on=self.started_on,
            consent_validity=ConsentPeriod.parse(self.consent_validity),
            material=True,
            recipients=frozenset(Recipient(each.name, each.role or "", each.country or "") for each in recipients),
            retention=Retention.parse(self.retention),
            service=self.service,
            age_statement_required=self.age_statement_required,
            categories_of_persons=tuple(self.categories_of_persons or ()),
            transfers=frozenset(Transfer(each.country, each.safeguards) for each in self.transfers or ()),
            storage_location=self.storage_location,
            automated_decisions=self.automated_decisions,
            conditional=self.conditional,
            derived_data_erased_within=Retention.parse(erased) if erased is not None else None,
        )


class NewProcessing(VersionBody):
    """A processing to register, with its first version."""

    model_config = examples({"id": "ads-mail", **VERSION_EXAMPLE})

    id: ProcessingId
    dry_run: StrictBool = Field(
        default=False, description="Record nothing, and show the text that would ask for consent"
    )


class NewVersion(VersionBody):
    """A full new version of a registered processing."""

    model_config = examples({**VERSION_EXAMPLE, "retention": "P7D", "material": False})

    material: StrictBool = Field(description="Whether consents given before must be asked again")
    effective_from: Instant | None = Field(default=None, description="Now or later; now when left out")
    reason: Reason | None = Field(
        default=None, description="Why the texts change; required when they do and `material` is false"
    )


class StatusBody(WireModel):
    """The status that a processing gets from now on; `retired` is final."""

    model_config = examples({"status": "active"}, {"status": "suspended"})

    status: Literal[Status.ACTIVE, Status.SUSPENDED, Status.RETIRED]
