"""Routes about staff under L32-3 V: versions of the notice, members, and their acknowledgements.

Members of staff belong to the whole deployment, not to a processing. So a caller that is limited to some processings
neither reads nor changes them.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from app.api.http.idempotency import WriteDep
from app.api.http.paging import LIMIT, Cursor, Limit, read_cursor, write_cursor
from app.api.http.routing import PROBLEMS, problems, strict_router
from app.api.http.security import AnyCaller, Needs, everywhere
from app.api.http.services import DatabaseDep, PseudonymsDep, StaffPageDep, VaultDep
from app.api.http.wire import Instant, Name, WireModel
from app.auth.callers import Caller, CallerKind, Scope
from app.core.errors import NotFoundError, PersonsOnlyError
from app.core.staff import Lack, Notice, NoticeStanding, NoticeText, lacking, standing
from app.db.session import WriteSession
from app.operations.staff import (
    Coverage,
    Covered,
    MarkedAcknowledgement,
    Shown,
    acknowledge_notice,
    change_staff_member,
    erase_staff_member,
    publish_staff_notice,
    read_acknowledgements,
    read_own_standing,
    read_staff_coverage,
    record_paper,
    register_staff_member,
)
from app.staff import Acknowledgement, AcknowledgementMethod, Member, load_member, load_notices

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


router = strict_router("staff")

Person = Annotated[Caller, Depends(AnyCaller())]
Officer = Annotated[Caller, Depends(everywhere(Needs(Scope.STAFF_WRITE)))]
Reader = Annotated[Caller, Depends(everywhere(Needs(Scope.AUDIT_READ, Scope.STAFF_WRITE)))]
Id = Annotated[UUID, Path(alias="id", description="The id of a member; a caller's own id where the member is one")]

_UNKNOWN = (404, "No such member.")
_INVALID = (422, "Some fields are not as they should be.")


@router.post(
    "/v1/staff/notices",
    status_code=201,
    summary="Publish a version of the staff notice",
    response_model=NoticeView,
    responses=problems(_INVALID),
)
async def post_notice(body: NewNotice, caller: Officer, write: WriteDep) -> Response:
    """Publish a version, in force at once and for good. Everybody is asked again; no version is ever changed.

    One that leaves out what staff must be told is refused: what is secret, that secrecy outlasts the job, code pénal
    226-13, 226-15 and both paragraphs of 432-9 with their penalties, or a passage that is still to be completed.
    """

    async def publish(session: WriteSession) -> NoticeView:
        return NoticeView.of(await publish_staff_notice(session, caller.id, body.texts()))

    return await write.perform(caller, 201, publish)


@router.get("/v1/staff/notices", summary="Read the versions of the staff notice", responses=PROBLEMS)
async def get_notices(_: Officer, database: DatabaseDep) -> NoticesPage:
    """Every version with its texts and their hashes; the last one is that of today."""
    async with database.read() as session:
        return NoticesPage(items=[NoticeView.of(each) for each in await load_notices(session)])


@router.get(
    "/v1/staff/notices/current",
    summary="Read the staff notice as a person",
    response_model_exclude_none=True,
    responses=PROBLEMS,
)
async def get_current_notice(caller: Person, database: DatabaseDep, staff_page: StaffPageDep) -> OwnNotice:
    """The notice of today, and whether the calling person has acknowledged it."""
    if caller.kind is not CallerKind.PERSON:
        raise PersonsOnlyError
    async with database.read() as session:
        own = await read_own_standing(session, caller)
    if own.notice is None:
        raise NotFoundError
    return OwnNotice(
        notice=NoticeView.of(own.notice),
        standing=standing(own.notice.number, own.acknowledged),
        acknowledged=own.acknowledged,
        acknowledged_at=own.acknowledged_at,
        page=staff_page,
    )


@router.post(
    "/v1/staff/acknowledgements",
    status_code=201,
    summary="Acknowledge the staff notice",
    response_model=AcknowledgementView,
    responses=problems((409, "That is not the text of today, or it is not complete."), _INVALID),
)
async def post_staff_acknowledgement(body: NewAcknowledgement, caller: Person, write: WriteDep) -> Response:
    """Acknowledge the notice of today, as the person whose key this is. A second time answers as the first time.

    People read and acknowledge it on a page too (`/staff/notice`).
    """

    async def acknowledge(session: WriteSession) -> AcknowledgementView:
        found = await acknowledge_notice(session, caller, body.shown(), AcknowledgementMethod.API)
        return AcknowledgementView.of(found)

    return await write.perform(caller, 201, acknowledge)


@router.get(
    "/v1/staff/coverage",
    summary="Who knows the staff notice of today, and who does not",
    response_model_exclude_none=True,
    responses=problems(_INVALID),
)
async def get_coverage(  # noqa: PLR0917 - a filter and a page
    caller: Reader,
    database: DatabaseDep,
    pseudonyms: PseudonymsDep,
    vault: VaultDep,
    only: Annotated[NoticeStanding | None, Query(alias="standing", description="Only members who stand so")] = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> CoverageView:
    """Members by standing: acknowledged, outdated (an older version), missing (none), left. The counts are of all."""
    asked = f"staff coverage {caller.id} {only}"
    after = read_cursor(pseudonyms, asked, cursor)
    async with database.read() as session:
        coverage = await read_staff_coverage(session, vault)
    wanted = [each for each in coverage.members if only is None or each.standing is only]
    rest = [each for each in wanted if after is None or each.id > after]
    page, more = rest[:limit], len(rest) > limit
    return CoverageView.of(coverage, page, write_cursor(pseudonyms, asked, page[-1].id if more else None))


@router.post(
    "/v1/staff/members",
    status_code=201,
    summary="Register a member of staff",
    response_model=MemberView,
    responses=problems(_UNKNOWN, _INVALID),
)
async def post_member(body: NewMember, caller: Officer, vault: VaultDep, write: WriteDep) -> Response:
    """Register a person without access to the API, so that the coverage counts them; or name one who has access.

    The name is stored encrypted. Persons with a key or an identity are members without this.
    """

    async def register(session: WriteSession) -> MemberView:
        return MemberView.of(await register_staff_member(session, vault, caller, body.name, body.caller))

    return await write.perform(caller, 201, register)


@router.get(
    "/v1/staff/members/{id}",
    summary="Read one member's acknowledgements",
    response_model_exclude_none=True,
    responses=problems(_UNKNOWN, _INVALID),
)
async def get_member(identifier: Id, _: Reader, database: DatabaseDep) -> MemberDetail:
    """One member, and every version that they acknowledged: when, how, in which language, recorded by whom."""
    async with database.read() as session:
        member = await load_member(session, identifier)
        if member is None:
            raise NotFoundError
        found = await read_acknowledgements(session, identifier)
    return MemberDetail(member=MemberView.of(member), acknowledgements=[AcknowledgementView.of(each) for each in found])


@router.patch(
    "/v1/staff/members/{id}",
    summary="Note that a member left, or is back",
    response_model=MemberView,
    responses=problems(_UNKNOWN, _INVALID),
)
async def patch_member(identifier: Id, body: MemberChange, caller: Officer, write: WriteDep) -> Response:
    """A member who left is no longer missing. Revoke their access to the API apart (`DELETE /v1/keys/{id}`)."""

    async def change(session: WriteSession) -> MemberView:
        left = body.status is MemberStatus.LEFT
        return MemberView.of(await change_staff_member(session, caller, identifier, left=left))

    return await write.perform(caller, 200, change)


@router.delete(
    "/v1/staff/members/{id}",
    status_code=204,
    summary="Erase the name of a member who left",
    responses=problems(_UNKNOWN, (409, "The member did not leave."), _INVALID),
)
async def delete_member(identifier: Id, caller: Officer, database: DatabaseDep) -> Response:
    """Destroy the name and its key. What the member acknowledged stays, under an id that identifies no person."""
    async with database.write() as session:
        await erase_staff_member(session, caller, identifier)
    return Response(status_code=204)


@router.post(
    "/v1/staff/members/{id}/acknowledgements",
    status_code=201,
    summary="Record what a member signed on paper",
    response_model=AcknowledgementView,
    responses=problems(_UNKNOWN, (409, "The member has access, or that version is not complete."), _INVALID),
)
async def post_paper(identifier: Id, body: PaperAcknowledgement, caller: Officer, write: WriteDep) -> Response:
    """Record the acknowledgement of a member who has no access to the API. Keep the paper, with the version's text."""

    async def record(session: WriteSession) -> AcknowledgementView:
        found = await record_paper(session, caller, identifier, body.shown(), body.acknowledged_at)
        return AcknowledgementView.of(found)

    return await write.perform(caller, 201, record)
