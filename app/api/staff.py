"""Routes about staff under L32-3 V: versions of the notice, members, and their acknowledgements.

Members of staff belong to the whole deployment, not to a processing. So a caller that is limited to some processings
neither reads nor changes them.
"""

from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import Depends, Path, Query, Response
from pydantic import BaseModel, Discriminator, Field, RootModel, StrictBool, StrictStr, Tag, model_validator

from app.api.http.paging import LIMIT, Cursor, Limit, read_cursor, write_cursor
from app.api.http.security import AnyCaller, Needs, everywhere, problems, strict_router
from app.api.http.services import DatabaseDep, PseudonymsDep, StaffPageDep, VaultDep, WriteDep
from app.api.http.wire import Instant, Name, RecordView, WireModel, at_fault, examples
from app.auth.callers import Caller, CallerKind, Scope
from app.core.errors import PersonsOnlyError
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
from app.staff import AcknowledgementMethod, Member, load_notices

Title = Annotated[StrictStr, Field(min_length=1, max_length=200)]
Body = Annotated[StrictStr, Field(min_length=1, max_length=50_000)]
Digest = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, hexadecimal")]
Version = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


_TEXTS: Final = {
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
"""The example of a notice: it shows the form, and the least that a notice must say."""


_ROTATED: Final = "Whether another person rotated the member's key within the week before, and so could have made it"


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

    model_config = examples({language: {"title": text.title, "body": text.body} for language, text in _TEXTS.items()})

    fr: NoticeTextBody
    en: NoticeTextBody | None = None

    def texts(self) -> dict[str, NoticeText]:
        """The texts of the version, by language."""
        bodies = {"fr": self.fr, "en": self.en}
        return {language: body.text() for language, body in bodies.items() if body is not None}


class NoticeTextView(RecordView):
    """One text, with what an acknowledgement of it is bound to."""

    title: str
    body: str
    sha256: str = Field(description="SHA-256 (hex) of title, line feed and body, in UTF-8")


class NoticeView(BaseModel):
    """One version of the notice."""

    number: int
    published_at: datetime
    to_be_completed: bool = Field(description="Whether it leaves something out: it cannot be acknowledged then")
    lacking: dict[str, list[Lack]] = Field(description="What it leaves out, by language")
    texts: dict[str, NoticeTextView]

    @classmethod
    def of(cls, notice: Notice) -> Self:
        """The wire form of a version."""
        lacks = {language: list(missing) for language, missing in lacking(notice.texts).items()}
        texts = {language: NoticeTextView.of(text) for language, text in notice.texts.items()}
        values: dict[str, Any] = {"number": notice.number, "published_at": notice.published_at}
        return cls(**values, to_be_completed=bool(lacks), lacking=lacks, texts=texts)


class OwnNotice(BaseModel):
    """How the person who asks stands towards the notice of today."""

    standing: NoticeStanding
    acknowledged: int | None = Field(default=None, description="The latest version that was acknowledged")
    acknowledged_at: datetime | None = None
    page: str = Field(description="Where a person reads and acknowledges it")


class NoticesPage(BaseModel):
    """Every version, by number; the last one is that of today."""

    items: list[NoticeView]
    own: OwnNotice | None = Field(default=None, description="Of a person who asks; a program has none")


class NewAcknowledgement(WireModel):
    """What was read: the version of today, in a language, by its hash."""

    notice: Version
    language: NoticeLanguage
    text_sha256: Digest

    def shown(self) -> Shown:
        """The operation's form of it."""
        return Shown(self.notice, self.language.value, self.text_sha256)


class PaperAcknowledgement(WireModel):
    """What a member signed on paper: who, which version, in which language, and when."""

    member: UUID = Field(description="A member of staff without access to the API")
    notice: Version
    language: NoticeLanguage
    acknowledged_at: Instant

    def shown(self) -> Shown:
        """The operation's form of it; the text is the one that the register holds."""
        return Shown(self.notice, self.language.value, "")


def _whose(body: object) -> str:
    return "paper" if isinstance(body, dict) and "member" in body else "own"


Own = Annotated[NewAcknowledgement, Tag("own")]
Paper = Annotated[PaperAcknowledgement, Tag("paper")]


class StaffAcknowledgement(RootModel[Annotated[Own | Paper, Discriminator(_whose)]]):
    """The caller's own acknowledgement, or with `member` one that a member signed on paper."""

    model_config = examples({"notice": 2, "language": "fr", "text_sha256": _TEXTS["fr"].sha256})


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
    def of(cls, marked: MarkedAcknowledgement) -> Self:
        """The wire form of an acknowledgement."""
        return cls(**asdict(marked.acknowledgement), rotated_by_other=marked.rotated_by_other)


class MemberStatus(StrEnum):
    """Whether a member works here."""

    ACTIVE = "active"
    LEFT = "left"


class NewMember(WireModel):
    """A member of staff. `caller` names a person's access to the API, who is a member without being registered too."""

    model_config = examples({"name": "Ada Exemple"})

    name: Name
    caller: UUID | None = None


class MemberChange(WireModel):
    """Gone, or back; and whether the name of who left is still needed."""

    model_config = examples({"status": "active"}, {"status": "left", "erase_name": True})

    status: MemberStatus | None = None
    erase_name: StrictBool = Field(default=False, description="Of a member who left, or leaves by this request")

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        if self.status is None and not self.erase_name:
            raise at_fault("status", "say what is to change")
        return self


class MemberView(BaseModel):
    """One member."""

    id: UUID
    access: bool = Field(description="Whether it is a person who has access to the API, or had it")
    status: MemberStatus
    registered_at: datetime
    left_at: datetime | None = None

    @classmethod
    def of(cls, member: Member) -> Self:
        """The wire form of a member."""
        status = MemberStatus.ACTIVE if member.left_at is None else MemberStatus.LEFT
        return cls(**asdict(member), access=member.caller is not None, status=status)


class CoveredView(RecordView):
    """How one member stands. `name` is absent once it was erased."""

    id: UUID
    name: str | None = None
    access: bool
    standing: NoticeStanding
    acknowledged: int | None = Field(default=None, description="The latest version that was acknowledged")
    acknowledged_at: datetime | None = None
    rotated_by_other: bool = Field(description=_ROTATED)
    registered_at: datetime | None = Field(default=None, description="Absent of a person who did nothing here yet")
    left_at: datetime | None = None
    acknowledgements: list[AcknowledgementView] | None = Field(
        default=None, description="Of the one that was asked for: when, how, in which language, recorded by whom"
    )


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
        """The wire form of the coverage, with one page of its members."""
        values: dict[str, Any] = {"notice": coverage.notice.number, "published_at": coverage.notice.published_at}
        items = [CoveredView.of(covered) for covered in page]
        values |= {"counts": dict(coverage.counts), "rotated_by_other": coverage.rotated_by_other}
        return cls(**values, items=items, next_cursor=next_cursor)


router = strict_router("staff")

Person = Annotated[Caller, Depends(AnyCaller())]
Officer = Annotated[Caller, Depends(everywhere(Needs(Scope.STAFF_WRITE)))]
Reader = Annotated[Caller, Depends(everywhere(Needs(Scope.AUDIT_READ, Scope.STAFF_WRITE)))]
Id = Annotated[UUID, Path(alias="id", description="The id of a member; a caller's own id where the member is one")]

_UNKNOWN = (404, "No such member.")


@router.post(
    "/v1/staff/notices",
    status_code=201,
    summary="Publish a version of the staff notice",
    response_model=NoticeView,
)
async def post_notice(body: NewNotice, caller: Officer, write: WriteDep) -> Response:
    """Publish a version, in force at once and for good. All staff are asked again; no version is ever changed.

    It is refused if it leaves out what staff must know: what is secret, that secrecy outlasts the job, code pénal
    226-13, 226-15 and both paragraphs of 432-9 with their penalties; or if it still has a passage to be completed.
    """

    async def publish(session: WriteSession) -> NoticeView:
        return NoticeView.of(await publish_staff_notice(session, caller.id, body.texts()))

    return await write.perform(caller, 201, publish)


@router.get("/v1/staff/notices", summary="Read the versions of the staff notice")
async def get_notices(caller: Person, database: DatabaseDep, staff_page: StaffPageDep) -> NoticesPage:
    """Every version with its texts and their hashes; the last one is that of today.

    Every person reads them, with `own`: whether they have acknowledged that of today. A program needs the scope
    `staff:write`, for every processing.
    """
    is_person = caller.kind is CallerKind.PERSON
    if not is_person:
        if Scope.STAFF_WRITE not in caller.scopes:
            raise PersonsOnlyError
        caller.require_processing(None)
    async with database.read() as session:
        page = NoticesPage(items=[NoticeView.of(each) for each in await load_notices(session)])
        own = await read_own_standing(session, caller) if is_person else None
    if own is not None and own.notice is not None:
        page.own = OwnNotice(
            standing=standing(own.notice.number, own.acknowledged),
            acknowledged=own.acknowledged,
            acknowledged_at=own.acknowledged_at,
            page=staff_page,
        )
    return page


@router.post(
    "/v1/staff/acknowledgements",
    status_code=201,
    summary="Acknowledge the staff notice",
    response_model=AcknowledgementView,
    responses=problems(
        (404, "Of paper: no such member, or no such version in that language."),
        (409, "It is not the text of today, or not complete; of paper: the member has access."),
    ),
)
async def post_staff_acknowledgement(body: StaffAcknowledgement, caller: Person, write: WriteDep) -> Response:
    """Acknowledge the notice of today, as the person whose key this is. A second time answers as the first time.

    People read and acknowledge it on a page too (`/staff/notice`). With `member` and `acknowledged_at` it records what
    a member without access signed on paper, which needs the scope `staff:write`, for every processing. Keep the paper,
    with the version's text.
    """
    statement = body.root
    if isinstance(statement, PaperAcknowledgement):
        caller.require(Scope.STAFF_WRITE)
        caller.require_processing(None)

    async def acknowledge(session: WriteSession) -> AcknowledgementView:
        if isinstance(statement, PaperAcknowledgement):
            marked = await record_paper(session, caller, statement.member, statement.shown(), statement.acknowledged_at)
        else:
            marked = await acknowledge_notice(session, caller, statement.shown(), AcknowledgementMethod.API)
        return AcknowledgementView.of(marked)

    return await write.perform(caller, 201, acknowledge)


@router.get("/v1/staff/coverage", summary="Who knows the staff notice of today, and who does not")
async def get_coverage(  # noqa: PLR0917 - two filters and a page
    caller: Reader,
    database: DatabaseDep,
    pseudonyms: PseudonymsDep,
    vault: VaultDep,
    only: Annotated[NoticeStanding | None, Query(alias="standing", description="Only members who stand so")] = None,
    member: Annotated[UUID | None, Query(description="Only that one, with what they acknowledged")] = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> CoverageView:
    """Members by standing: acknowledged, outdated (an older version), missing (none), left. The counts are of all."""
    query_text = f"staff coverage {caller.id} {only} {member}"
    after = read_cursor(pseudonyms, query_text, cursor)
    async with database.read() as session:
        coverage = await read_staff_coverage(session, vault)
        acknowledgements = await read_acknowledgements(session, member) if member is not None else ()
    wanted = [each for each in coverage.members if only in {None, each.standing} and member in {None, each.id}]
    rest = [each for each in wanted if after is None or each.id > after]
    page, more = rest[:limit], len(rest) > limit
    view = CoverageView.of(coverage, page, write_cursor(pseudonyms, query_text, page[-1].id if more else None))
    for item in view.items if member is not None else ():
        item.acknowledgements = [AcknowledgementView.of(marked) for marked in acknowledgements]
    return view


@router.post(
    "/v1/staff/members",
    status_code=201,
    summary="Register a member of staff",
    response_model=MemberView,
    responses=problems(_UNKNOWN),
)
async def post_member(body: NewMember, caller: Officer, vault: VaultDep, write: WriteDep) -> Response:
    """Register a person without access to the API, so that the coverage counts them; or name one who has access.

    The name is stored encrypted. Persons with a key or an identity are members without this.
    """

    async def register(session: WriteSession) -> MemberView:
        return MemberView.of(await register_staff_member(session, vault, caller, body.name, body.caller))

    return await write.perform(caller, 201, register)


@router.patch(
    "/v1/staff/members/{id}",
    summary="Note that a member left, or is back; erase a name",
    response_model=MemberView,
    responses=problems(_UNKNOWN, (409, "The member did not leave.")),
)
async def patch_member(identifier: Id, body: MemberChange, caller: Officer, write: WriteDep) -> Response:
    """A member who left is no longer missing. Revoke their access to the API apart (`DELETE /v1/keys/{id}`).

    `erase_name` destroys the name and its key. What the member acknowledged stays, under an id that identifies no
    person.
    """

    async def change(session: WriteSession) -> MemberView:
        if body.status is None:
            return MemberView.of(await erase_staff_member(session, caller, identifier))
        changed = await change_staff_member(session, caller, identifier, left=body.status is MemberStatus.LEFT)
        return MemberView.of(await erase_staff_member(session, caller, identifier) if body.erase_name else changed)

    return await write.perform(caller, 200, change)
