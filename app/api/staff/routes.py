"""Routes about staff under L32-3 V: versions of the notice, members, and their acknowledgements.

Members of staff belong to the whole deployment, not to a processing. So a caller that is limited to some processings
neither reads nor changes them.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Response

from app.api.http.idempotency import WriteDep
from app.api.http.paging import LIMIT, Cursor, Limit, read_cursor, write_cursor
from app.api.http.routing import PROBLEMS, problems, strict_router
from app.api.http.security import AnyCaller, Needs, everywhere
from app.api.http.services import DatabaseDep, PseudonymsDep, StaffPageDep, VaultDep
from app.api.staff.models import (
    AcknowledgementView,
    CoverageView,
    MemberChange,
    MemberDetail,
    MemberStatus,
    MemberView,
    NewAcknowledgement,
    NewMember,
    NewNotice,
    NoticesPage,
    NoticeView,
    OwnNotice,
    PaperAcknowledgement,
)
from app.auth.callers import Caller, CallerKind, Scope
from app.core.errors import NotFoundError, PersonsOnlyError
from app.core.staff import NoticeStanding, standing
from app.db.session import WriteSession
from app.operations.staff.coverage import (
    change_staff_member,
    erase_staff_member,
    read_acknowledgements,
    read_own_standing,
    read_staff_coverage,
    register_staff_member,
)
from app.operations.staff.notices import acknowledge_notice, publish_staff_notice, record_paper
from app.staff import AcknowledgementMethod, load_member, load_notices

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
