"""Staff under L32-3 V on the wire: notices, members, acknowledgements, coverage."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from app.api.http.wire import Instant, Name, WireModel
from app.core.staff import Lack, Notice, NoticeStanding, NoticeText, lacking
from app.operations.staff.coverage import Coverage, Covered, MarkedAcknowledgement
from app.operations.staff.notices import Shown
from app.staff import Acknowledgement, AcknowledgementMethod, Member

Title = Annotated[StrictStr, Field(min_length=1, max_length=200)]
Body = Annotated[StrictStr, Field(min_length=1, max_length=50_000)]
Digest = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, hexadecimal")]
Version = Annotated[StrictInt, Field(ge=1, le=1_000_000)]


_SAID: Final = {
    "fr": NoticeText(
        "Secret des correspondances",
        "# Ce qui est secret\n\nLe contenu, l’identité des correspondants, l’intitulé et les documents joints.\n\n"
        "# Les sanctions pénales encourues\n\n- code pénal, article 226-13 : un an et 15 000 euros\n"
        "- article 226-15 : un an et 45 000 euros\n- article 432-9, ses deux alinéas : trois ans et 45 000 euros\n\n"
        "Le secret dure au-delà de votre contrat.",
    ),
    "en": NoticeText(
        "Secrecy of correspondence",
        "# What is secret\n\nThe content, the identity of the correspondents, the subject line and the attachments.\n\n"
        "# The penalties\n\n- code pénal, article 226-13: one year and 15,000 euros\n- article 226-15: one year and "
        "45,000 euros\n- article 432-9, both paragraphs: three years and 45,000 euros\n\n"
        "Secrecy outlasts your job.",
    ),
}
"""The example: the shape of a notice, and the least that it must say."""


_ROTATED: Final = "Whether somebody else rotated the member's key within the week before: they could have made it"


class NoticeLanguage(StrEnum):
    """A language that notices are written in."""

    FR = "fr"
    EN = "en"


class NoticeTextBody(WireModel):
    """One text. In the body, blank lines part blocks; a block of `- ` lines is a list, one with `# ` a heading."""

    title: Title
    body: Body

    def text(self) -> NoticeText:
        """The core's form of it."""
        return NoticeText(self.title, self.body)


class NewNotice(WireModel):
    """A version to publish: French, and English for who reads that."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{language: {"title": said.title, "body": said.body} for language, said in _SAID.items()}]
        }
    )

    fr: NoticeTextBody
    en: NoticeTextBody | None = None

    def texts(self) -> dict[str, NoticeText]:
        """The languages there are."""
        found = {"fr": self.fr, "en": self.en}
        return {language: said.text() for language, said in found.items() if said is not None}


class NoticeTextView(BaseModel):
    """One text, with what an acknowledgement of it is bound to."""

    title: str
    body: str
    sha256: str = Field(description="SHA-256 (hex) of title, line feed and body, in UTF-8")


class NoticeView(BaseModel):
    """One version of the notice."""

    number: int
    published_at: datetime
    to_be_completed: bool = Field(description="Whether it leaves something out: nobody can acknowledge it then")
    lacking: dict[str, list[Lack]] = Field(description="What it leaves out, by language")
    texts: dict[str, NoticeTextView]

    @classmethod
    def of(cls, notice: Notice) -> Self:
        """The wire form of a version."""
        lacks = {language: list(found) for language, found in lacking(notice.texts).items()}
        texts = {
            language: NoticeTextView(title=text.title, body=text.body, sha256=text.sha256)
            for language, text in notice.texts.items()
        }
        return cls(
            number=notice.number,
            published_at=notice.published_at,
            to_be_completed=bool(lacks),
            lacking=lacks,
            texts=texts,
        )


class NoticesPage(BaseModel):
    """Every version, by number; the last one is that of today."""

    items: list[NoticeView]


class OwnNotice(BaseModel):
    """The notice of today, and how the person who asks stands towards it."""

    notice: NoticeView
    standing: NoticeStanding
    acknowledged: int | None = Field(default=None, description="The latest version that was acknowledged")
    acknowledged_at: datetime | None = None
    page: str = Field(description="Where a person reads and acknowledges it")


class NewAcknowledgement(WireModel):
    """What was read: the version of today, in a language, by its hash."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"notice": 2, "language": "fr", "text_sha256": _SAID["fr"].sha256}]}
    )

    notice: Version
    language: NoticeLanguage
    text_sha256: Digest

    def shown(self) -> Shown:
        """The operation's form of it."""
        return Shown(self.notice, self.language.value, self.text_sha256)


class PaperAcknowledgement(WireModel):
    """What a member signed on paper: which version, in which language, and when."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"notice": 2, "language": "fr", "acknowledged_at": "2026-06-15T12:00:00Z"}]}
    )

    notice: Version
    language: NoticeLanguage
    acknowledged_at: Instant

    def shown(self) -> Shown:
        """The operation's form of it; the text is the one that the register holds."""
        return Shown(self.notice, self.language.value, "")


class AcknowledgementView(BaseModel):
    """One acknowledgement."""

    id: UUID
    member: UUID
    notice: int
    language: str
    text_sha256: str
    way: AcknowledgementMethod
    acknowledged_at: datetime
    recorded_at: datetime
    recorded_by: UUID
    rotated_by_other: bool = Field(description=_ROTATED)

    @classmethod
    def of(cls, told: MarkedAcknowledgement) -> Self:
        """The wire form of an acknowledgement."""
        found = told.acknowledgement
        kept = {name: getattr(found, name) for name in Acknowledgement.__dataclass_fields__}
        return cls(**kept, rotated_by_other=told.rotated_by_other)


class MemberStatus(StrEnum):
    """Whether a member works here."""

    ACTIVE = "active"
    LEFT = "left"


class NewMember(WireModel):
    """A member of staff. `caller` names a person's access to the API, who is a member without being registered too."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Ada Exemple"}]})

    name: Name
    caller: UUID | None = None


class MemberChange(WireModel):
    """Gone, or back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "active"}]})

    status: MemberStatus


class MemberView(BaseModel):
    """One member."""

    id: UUID
    access: bool = Field(description="Whether it is a person with access to the API")
    status: MemberStatus
    registered_at: datetime
    left_at: datetime | None = None

    @classmethod
    def of(cls, member: Member) -> Self:
        """The wire form of a member."""
        return cls(
            id=member.id,
            access=member.caller is not None,
            status=MemberStatus.ACTIVE if member.left_at is None else MemberStatus.LEFT,
            registered_at=member.registered_at,
            left_at=member.left_at,
        )


class MemberDetail(BaseModel):
    """One member, and what they acknowledged."""

    member: MemberView
    acknowledgements: list[AcknowledgementView]


class CoveredView(BaseModel):
    """How one member stands. `name` is absent once it was erased."""

    id: UUID
    name: str | None = None
    access: bool
    standing: NoticeStanding
    acknowledged: int | None = Field(default=None, description="The latest version that was acknowledged")
    acknowledged_at: datetime | None = None
    rotated_by_other: bool = Field(description=_ROTATED)
    left_at: datetime | None = None

    @classmethod
    def of(cls, covered: Covered) -> Self:
        """The wire form of it."""
        return cls(**{name: getattr(covered, name) for name in Covered.__dataclass_fields__})


class CoverageView(BaseModel):
    """Who of the staff knows the notice of today: how many of each standing, and a page of members by id."""

    notice: int
    published_at: datetime
    counts: dict[NoticeStanding, int]
    rotated_by_other: int = Field(description="How many of the acknowledged are marked so")
    items: list[CoveredView]
    next_cursor: str | None = None

    @classmethod
    def of(cls, coverage: Coverage, page: list[Covered], next_cursor: str | None) -> Self:
        """The wire form of a page of it."""
        told: dict[str, Any] = {"notice": coverage.notice.number, "published_at": coverage.notice.published_at}
        items = [CoveredView.of(each) for each in page]
        told |= {"counts": dict(coverage.counts), "rotated_by_other": coverage.rotated_by_other}
        return cls(**told, items=items, next_cursor=next_cursor)
