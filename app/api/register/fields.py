"""Types of the register's fields: dates, durations, texts, addresses, and what a version tells beside its rules."""

from collections.abc import Callable
from dataclasses import fields
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictStr

from app.api.http.wire import Name, Territory, WireModel
from app.core.errors import InvalidPeriodError
from app.core.period import ConsentPeriod
from app.core.retention import Retention
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
        """The languages there are."""
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
        """The register's form of it."""
        said = {each.name: getattr(self, each.name) for each in fields(Particulars)}
        said["consequences"] = self.consequences.by_language() if self.consequences is not None else None
        return Particulars(**said)


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
