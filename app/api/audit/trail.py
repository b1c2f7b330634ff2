"""The trail of administrative acts: who did what, when, on what, and whose record was looked at by whom."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends
from pydantic import BaseModel, ConfigDict, Field, StrictStr

from app.api.http.paging import read_cursor, write_cursor
from app.api.http.routing import problems, strict_router
from app.api.http.security import Needs
from app.api.http.services import DatabaseDep, DeploymentDep
from app.api.http.wire import Instant, PageRequest, SubjectBody, WireModel
from app.audit.trail import ActKind, Entry, EntryPoint, Target, TargetKind, TrailQuery
from app.auth.callers import Caller, Scope
from app.operations.audit.reading import read_audit_trail

router = strict_router("audit")

Auditor = Annotated[Caller, Depends(Needs(Scope.AUDIT_READ))]


# Only ids that Sceau made: ids of users never reach a statement.
ThingId = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$", examples=["ads-mail"])]


class ObjectBody(WireModel):
    """A thing that acts are done to, by its id in Sceau."""

    type: TargetKind
    id: ThingId


class TrailSearch(WireModel):
    """Which acts to list; what is left out does not narrow the list."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"acts": ["caller.made", "caller.revoked"], "since": "2026-01-01T00:00:00Z"},
                {"subject": {"type": "user", "id": "alice@example.fr"}},
            ],
        }
    )

    acts: Annotated[list[ActKind], Field(min_length=1, max_length=100)] | None = None
    caller: UUID | None = Field(default=None, description="Who acted")
    object: ObjectBody | None = Field(default=None, description="What was acted on")
    subject: SubjectBody | None = Field(default=None, description="Whose record was acted on, or looked at")
    since: Instant | None = Field(default=None, description="From this instant on")
    until: Instant | None = Field(default=None, description="Before this instant")
    page: PageRequest = PageRequest()


class ActBody(BaseModel):
    """One administrative act as recorded, in the transaction that did it."""

    id: UUID
    at: datetime = Field(description="By the database's clock")
    act: str = Field(examples=[ActKind.CALLER_REVOKED.value])
    way: str = Field(description="How it arrived: " + ", ".join(way.value for way in EntryPoint))
    caller: UUID | None = Field(default=None, description="Absent for an operator's command, and at a start")
    request_id: str | None = None
    object: dict[str, str] | None = Field(default=None, description="`type` and `id` of what it was done to")
    subject_ref: str | None = Field(default=None, description="The subject's pseudonym (hex)")
    detail: dict[str, Any]


class ActsPage(BaseModel):
    """Some acts, newest first."""

    items: list[ActBody]
    next_cursor: str | None = None


@router.post(
    "/v1/audit-trail/search",
    summary="Search the trail of administrative acts",
    response_model_exclude_none=True,
    responses=problems((422, "Some fields are not as they should be.")),
)
async def post_trail_search(
    body: TrailSearch, caller: Auditor, database: DatabaseDep, deployment: DeploymentDep
) -> ActsPage:
    """List administrative acts, newest first: who did what, when and on what; who looked at whose record.

    A caller that is restricted to some processings sees what was done to those, and what it did itself. Searching is
    an act too.
    """
    named = body.object
    query = TrailQuery(
        acts=body.acts,
        caller=body.caller,
        target=Target(named.type, named.id) if named is not None else Target(),
        since=body.since,
        until=body.until,
    )
    asked = f"trail {caller.id} {body.model_dump_json(exclude={'page'})}"
    before = read_cursor(deployment.pseudonyms, asked, body.page.cursor)
    async with database.write() as session:
        page = await read_audit_trail(
            session,
            deployment,
            caller,
            query,
            subject=body.subject.name() if body.subject is not None else None,
            before=before,
            limit=body.page.limit,
        )
    return ActsPage(
        items=[_act(each) for each in page.items],
        next_cursor=write_cursor(deployment.pseudonyms, asked, page.next_before),
    )


def _act(entry: Entry) -> ActBody:
    named = {"type": entry.thing, "id": entry.thing_id} if entry.thing and entry.thing_id else None
    return ActBody(
        id=entry.id,
        at=entry.at,
        act=entry.act,
        way=entry.way,
        caller=entry.caller,
        request_id=entry.request_id,
        object=named,
        subject_ref=entry.subject_ref.hex() if entry.subject_ref is not None else None,
        detail=dict(entry.detail),
    )
