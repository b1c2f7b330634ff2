"""Routes for auditors: the decision log, with the consents that permits rested on, and the trail of acts."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import Depends
from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr, model_validator

from app.api.http.paging import read_cursor, write_cursor
from app.api.http.problems import FieldError, InvalidRequestError
from app.api.http.security import Needs, problems, strict_router
from app.api.http.services import DatabaseDep, DeploymentDep
from app.api.http.wire import (
    Identifier,
    Instant,
    Name,
    PageRequest,
    ProcessingId,
    SubjectBody,
    WireModel,
    at_fault,
    examples,
)
from app.audit.segments import row_of
from app.audit.trail import ActKind, Entry, Target, TargetKind, TrailQuery
from app.auth.callers import Caller, Scope
from app.core.decision import Reason
from app.operations.audit import DecisionQuery, list_relying_permits, read_audit_trail, search_decisions
from app.telemetry.spans import EntryPoint

router = strict_router("audit")

Auditor = Annotated[Caller, Depends(Needs(Scope.AUDIT_READ))]


class CorrespondenceBody(WireModel):
    """A correspondence as it was named when the decision was asked for."""

    type: Name = Field(examples=["correspondence"])
    id: Identifier = Field(examples=["3f9c1e0b7a"])


class DecisionSearch(WireModel):
    """Which decisions to list; what is left out does not narrow the list."""

    model_config = examples({"subject": {"type": "user", "id": "alice@example.fr"}, "decision": True})

    id: UUID | None = Field(default=None, description="The id that the answer carried")
    subject: SubjectBody | None = None
    correspondence: CorrespondenceBody | None = Field(default=None, description="Needs `subject`")
    processing: ProcessingId | None = None
    decision: StrictBool | None = None
    reason: Reason | None = None
    since: Instant | None = Field(default=None, description="From this instant on")
    until: Instant | None = Field(default=None, description="Before this instant")
    invalidation: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = Field(
        default=None,
        description="The number of an invalidation of `processing`: the permits that rested on such a consent of the "
        "user. It is given with `processing` alone",
    )
    page: PageRequest = PageRequest()

    @model_validator(mode="after")
    def _invalidation_stands_alone(self) -> Self:
        members = self.model_fields_set - {"page"}
        if self.invalidation is not None and (self.processing is None or members != {"processing", "invalidation"}):
            raise at_fault("invalidation", "is given with processing, and with nothing else that narrows the list")
        return self


class LoggedBody(BaseModel):
    """One decision as logged."""

    id: UUID
    at: datetime
    caller: UUID
    subject_ref: str = Field(
        description="The first half of the subject's pseudonym (hex); bytes of its own where nothing is recorded of it"
    )
    processing: str
    correspondence_ref: str = Field(
        description="The keyed reference of the correspondence for this subject and day (hex)"
    )
    elements: list[str] | None = None
    channel: str
    territory: str
    decision: bool
    reason: str
    rule: str = Field(description="The row of the table of rules")
    law_version: str | None = None
    consent: UUID | None = None
    valid_until: datetime | None = None


class DecisionsPage(BaseModel):
    """Some decisions, newest first."""

    items: list[LoggedBody]
    next_cursor: str | None = None
    looked_back_to: datetime | None = Field(
        default=None, description="How far back this page looked; absent with the last page"
    )


@router.post(
    "/v1/decisions/search",
    summary="Search the decision log",
    responses=problems((404, "No such processing, or no such invalidation of it.")),
)
async def post_decision_search(
    body: DecisionSearch, caller: Auditor, database: DatabaseDep, deployment: DeploymentDep
) -> DecisionsPage:
    """List decisions, newest first: every one but the exempt permits, of which a share is logged.

    The log is read backwards for about a second: a page may hold fewer than asked for, or none, and have a
    `next_cursor`. With `since`, and with a `subject`, it goes faster.

    A decision appears within a second of its answer. You search for subjects by name, and for a correspondence
    among the decisions about one subject; answers hold pseudonyms only, and no row joins two people. The audit trail
    records who searched for whom.

    With `invalidation`, the permits that had rested on what was invalidated. Those that rested on such a consent of
    another party are not among them: whose those were is sealed in the log.
    """
    if body.processing is not None:
        caller.require_processing(body.processing)
    named = body.correspondence
    if named is not None and body.subject is None:
        message = "is missing: a correspondence is searched among the decisions about one person"
        raise InvalidRequestError([FieldError(field="subject", message=message)])
    allowed = tuple(sorted(caller.processings)) if caller.processings is not None else None
    query = DecisionQuery(
        since=body.since,
        until=body.until,
        subject=body.subject.name() if body.subject is not None else None,
        correspondence=(named.type, named.id) if named is not None else None,
        processings=(body.processing,) if body.processing is not None else allowed,
        decision=body.decision,
        reason=body.reason,
        id=body.id,
    )
    query_text = f"{caller.id} {body.model_dump_json(exclude={'page'})}"
    before = read_cursor(deployment.pseudonyms, query_text, body.page.cursor)
    async with database.write(at_once=True) as session:
        if body.processing is not None and body.invalidation is not None:
            struck, limit = (body.processing, body.invalidation), body.page.limit
            page = await list_relying_permits(session, caller, *struck, before, limit)
        else:
            page = await search_decisions(session, deployment, caller, query, before=before, limit=body.page.limit)
    return DecisionsPage(
        items=[LoggedBody.model_validate(row_of(each, bytes.hex)) for each in page.items],
        next_cursor=write_cursor(deployment.pseudonyms, query_text, page.before),
        looked_back_to=page.looked_back_to,
    )


# The trail of administrative acts shows who did what, when and on what, and who looked at whose record.


# These are only ids that Sceau made: a user's id never reaches a statement.
ThingId = Annotated[StrictStr, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$", examples=["ads-mail"])]


class ObjectBody(WireModel):
    """A thing that acts are done to, by its id in Sceau."""

    type: TargetKind
    id: ThingId


class TrailSearch(WireModel):
    """Which acts to list; what is left out does not narrow the list."""

    model_config = examples(
        {"acts": ["caller.made", "caller.revoked"], "since": "2026-01-01T00:00:00Z"},
        {"subject": {"type": "user", "id": "alice@example.fr"}},
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


@router.post("/v1/audit-trail/search", summary="Search the trail of administrative acts")
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
    query_text = f"trail {caller.id} {body.model_dump_json(exclude={'page'})}"
    before = read_cursor(deployment.pseudonyms, query_text, body.page.cursor)
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
        next_cursor=write_cursor(deployment.pseudonyms, query_text, page.next_before),
    )


def _act(entry: Entry) -> ActBody:
    named = {"type": entry.thing, "id": entry.thing_id} if entry.thing and entry.thing_id else None
    subject_ref = entry.subject_ref.hex() if entry.subject_ref is not None else None
    return ActBody.model_validate({**asdict(entry), "object": named, "subject_ref": subject_ref})
