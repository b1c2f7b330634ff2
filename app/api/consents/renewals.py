"""The yearly renewal as operators see it: which consents were flagged, and what the jobs did."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Depends, Query, Response
from pydantic import BaseModel, Field

from app.api.consents.routes import Language, Method
from app.api.http.paging import LIMIT, Cursor, Limit, read_cursor, write_cursor
from app.api.http.security import Needs, problems, strict_router
from app.api.http.services import DatabaseDep, DeploymentDep, LookDep, WriteDep
from app.api.http.wire import ProcessingId, RecordView, SubjectBody, WireModel, examples
from app.auth.callers import Caller, Scope
from app.core.consent import State
from app.core.renewal import FlagKind
from app.db.session import WriteSession
from app.operations.consents.sweep_renewals import ListedRenewal, decline_renewal, list_renewals, name_subjects
from app.operations.service.show_home import list_job_runs

router = strict_router("renewals")

Reader = Annotated[Caller, Depends(Needs(Scope.CONSENTS_READ))]
Writer = Annotated[Caller, Depends(Needs(Scope.CONSENTS_WRITE))]
Auditor = Annotated[Caller, Depends(Needs(Scope.AUDIT_READ))]

_MOST_DAYS = 90


class RenewalBody(BaseModel):
    """One flag. `state` is that of the consent now: one that was renewed since is `replaced`."""

    id: UUID
    kind: FlagKind
    notice: str | None = Field(default=None, description="How long before the expiry, for `due`", examples=["P30D"])
    consent: UUID
    processing: str
    subject_ref: str = Field(description="The subject's pseudonym (hex)")
    flagged_at: datetime
    expires_at: datetime = Field(description="The expiry that counted when it was flagged")
    state: State
    subject: SubjectBody | None = Field(
        default=None, description="Who is to be reminded: with `include=subject`, while the id is kept"
    )


class RenewalsPage(BaseModel):
    """Some flags, oldest first."""

    items: list[RenewalBody]
    next_cursor: str | None = None


@router.get("/v1/renewals", summary="List consents that are due for renewal or lapsed")
async def get_renewals(  # noqa: PLR0917 - a query's parts
    caller: Reader,
    database: DatabaseDep,
    look: LookDep,
    deployment: DeploymentDep,
    processing: Annotated[ProcessingId | None, Query(description="On this processing only")] = None,
    kind: Annotated[list[FlagKind] | None, Query(description="Of these kinds only; repeat for more")] = None,
    include: Annotated[
        Literal["subject"] | None, Query(description="Name the users too: needs `subjects:read`, and is recorded")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = LIMIT,
) -> RenewalsPage:
    """What the sweep flagged: each notice of each consent once, then that it expired, was superseded or closed.

    With `include=subject` the list names the people to remind. `POST /v1/consent-links` with a consent's id makes the
    link.

    To be notified, use webhooks or `GET /v1/events`, which leave nothing out: a flag that is being written while this
    list is read may belong to a page that was already given.
    """
    if processing is not None:
        caller.require_processing(processing)
    pseudonyms = deployment.pseudonyms
    kinds = sorted(set(kind or FlagKind))
    query_text = f"renewals {caller.id} {processing or ''} {','.join(kinds)}"
    after = read_cursor(pseudonyms, query_text, cursor)
    async with database.read() as session:
        page = await list_renewals(
            session,
            deployment.policy,
            processings=(processing,) if processing is not None else caller.processings,
            kinds=kinds,
            after=after,
            limit=limit,
        )
    if include is not None:
        async with look() as writing:
            page = await name_subjects(writing, deployment, caller, page)
    return RenewalsPage(
        items=[_renewal(each) for each in page.items], next_cursor=write_cursor(pseudonyms, query_text, page.next_after)
    )


class NewDecline(WireModel):
    """A person does not want to renew a consent."""

    model_config = examples({"subject": {"type": "user", "id": "alice@example.fr"}, "processing": "ads-mail"})

    subject: SubjectBody
    processing: ProcessingId
    method: Method | None = None
    language: Language | None = None


class DeclineBody(BaseModel):
    """The entry of the ledger, and the consent of which the person is no longer reminded."""

    id: UUID
    consent: UUID
    effective_at: datetime


@router.post(
    "/v1/renewals/declined",
    status_code=201,
    summary="A person does not want to renew",
    response_model=DeclineBody,
    responses=problems((404, "No such processing."), (409, "No consent to it holds.")),
)
async def post_declined(body: NewDecline, caller: Writer, deployment: DeploymentDep, write: WriteDep) -> Response:
    """Record it. The consent stands until it ends; no notice, link or reminder asks for its renewal any more.

    A consent given anew begins anew. A person who asks for the page themselves is still shown it (`by_person`).
    """
    caller.require_processing(body.processing)
    evidence = body.model_dump(mode="json", include={"method", "language"}, exclude_none=True)
    subject = body.subject.name()

    async def decline(session: WriteSession) -> DeclineBody:
        entry, consent = await decline_renewal(session, deployment, caller, subject, body.processing, evidence=evidence)
        return DeclineBody(id=entry.event.id, consent=consent, effective_at=entry.event.collected_at)

    return await write.perform(caller, 201, decline)


class JobRunBody(RecordView):
    """A task's runs on one day (UTC): sums, and how the last one went; times in seconds."""

    task: str
    day: date
    runs: int
    failures: int
    flagged: int = Field(description="Things dealt with that day")
    last_started_at: datetime
    last_took: float = Field(description="Seconds")
    last_flagged: int
    backlog: int = Field(description="What the last run left for the next")
    last_failed_at: datetime | None = None
    last_error: str | None = Field(default=None, description="The class of the day's last error, never its message")
    lost: int = Field(description="Webhook deliveries dropped undelivered that day: their events were too old")


class JobRuns(BaseModel):
    """Runs by task and day."""

    items: list[JobRunBody]


@router.get("/v1/job-runs", summary="See what background jobs did")
async def get_job_runs(
    _: Auditor,
    database: DatabaseDep,
    task: Annotated[str | None, Query(max_length=100, description="Of this task only")] = None,
    days: Annotated[int, Query(ge=0, le=_MOST_DAYS, description="0: the last day on which each task ran")] = 0,
) -> JobRuns:
    """When each task last ran, how long it took, what it did and left; none runs when no jobs process does."""
    async with database.read() as session:
        runs = await list_job_runs(session, task=task, days=days)
    return JobRuns(items=[JobRunBody.of(each) for each in runs])


def _renewal(listed: ListedRenewal) -> RenewalBody:
    notice = f"P{listed.flag.notice}D" if listed.flag.kind is FlagKind.DUE else None
    subject = asdict(listed.subject) if listed.subject is not None else None
    columns = {**asdict(listed.flag), "notice": notice, "subject_ref": listed.flag.subject_ref.hex()}
    return RenewalBody.model_validate({**columns, "state": listed.state, "subject": subject})
