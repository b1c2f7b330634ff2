"""Routes that record, withdraw, search and read consents."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Path, Response

from app.api.consents.groups import Grouped, grouped_for
from app.api.consents.models import (
    ConsentBody,
    ConsentSearch,
    ConsentsPage,
    EventBody,
    HistoryBody,
    NewConsent,
    NewWithdrawal,
    WithdrawalBody,
    consent_body,
    event_body,
    said_in_consent,
    said_in_withdrawal,
)
from app.api.http.paging import read_cursor, write_cursor
from app.api.http.security import Needs, NeedsRemembered, problems, strict_router
from app.api.http.services import DatabaseDep, DeploymentDep
from app.auth.callers import Caller, Scope
from app.core.errors import NotFoundError
from app.operations.consents.search_consents import (
    ConsentQuery,
    consent_history,
    find_consent,
    read_event,
    search_consents,
)

router = strict_router("consents")

Reader = Annotated[Caller, Depends(Needs(Scope.CONSENTS_READ))]
_WRITING: Final = NeedsRemembered(Scope.CONSENTS_WRITE)
_ENDING: Final = NeedsRemembered(Scope.CONSENTS_WRITE, counted=False)
Writer = Annotated[Caller, Depends(_WRITING)]
GroupedWriter = Annotated[Grouped, Depends(grouped_for(_WRITING))]
Ender = Annotated[Caller, Depends(_ENDING)]
"""For routes that end a consent: no rate limit refuses them."""
GroupedEnder = Annotated[Grouped, Depends(grouped_for(_ENDING))]
ConsentId = Annotated[UUID, Path(alias="id", description="The id of a consent")]
EventId = Annotated[UUID, Path(alias="id", description="The id of an entry of the ledger")]

_INVALID = (422, "Some fields are not as they should be.")
_NOT_CONSENT = (
    409,
    "The purpose does not rest on consent, the processing is retired, or the person has consented too often in a day.",
)
_NO_PROCESSING = (404, "No such processing.")
_NO_CONSENT = (404, "No such consent.")
_NO_EVENT = (404, "No such entry.")


@router.post(
    "/v1/consents",
    status_code=201,
    summary="Record a consent or a refusal",
    response_model=ConsentBody,
    responses=problems(_NO_PROCESSING, _NOT_CONSENT, _INVALID),
)
async def post_consent(body: NewConsent, caller: Writer, deployment: DeploymentDep, grouped: GroupedWriter) -> Response:
    """Record what a user decided on one processing, with the evidence of how.

    A grant says when it was collected and which text was shown, and its parts must agree: the version with the notice,
    the language with the text, the act with the method. Nothing left out is filled in. A grant older than the version's
    registration must be a form signed on paper, named by `document_sha256`. A refusal may lack any of this.

    A grant that was unlawfully collected (a pre-ticked box, no positive act, bundled with the terms …) is recorded
    and answered with `state: invalid` and its `defects`; it never permits. A refusal ends an earlier consent at once.
    """
    caller.require_processing(body.processing)
    return await grouped.record(caller, 201, said_in_consent(body, deployment))


@router.post(
    "/v1/withdrawals",
    summary="Withdraw a consent, or all of them",
    response_model=WithdrawalBody,
    responses=problems(_NO_PROCESSING, _NOT_CONSENT, _INVALID),
)
async def post_withdrawal(
    body: NewWithdrawal, caller: Ender, deployment: DeploymentDep, grouped: GroupedEnder
) -> Response:
    """Withdraw. Once this has answered, no decision permits what was withdrawn.

    Recorded also when there was nothing to withdraw, so that an older paper consent imported later does not revive.
    `matched: false` says that nothing at all was known of that id: the person may have consented by another name.
    """
    caller.require_processing(body.processing)
    return await grouped.record(caller, 200, said_in_withdrawal(body, deployment))


@router.post(
    "/v1/consents/search",
    summary="Search consents",
    response_model_exclude_none=True,
    responses=problems(_INVALID),
)
async def post_search(
    body: ConsentSearch, caller: Reader, database: DatabaseDep, deployment: DeploymentDep
) -> ConsentsPage:
    """List consents by subject, processing, state and expiry; a POST, so that no id stands in a URL.

    States are those that a decision would see now. Go on with `page.cursor` until there is no `next_cursor`. A person
    who only ever withdrew has no consent to list: `known` says that something is recorded of that person.
    """
    if body.processing is not None:
        caller.require_processing(body.processing)
        processings: tuple[str, ...] | None = (body.processing,)
    else:
        processings = tuple(sorted(caller.processings)) if caller.processings is not None else None
    pseudonyms = deployment.pseudonyms
    asked = f"{caller.id} {body.model_dump_json(exclude={'page'})}"
    query = ConsentQuery(
        subject=body.subject.name() if body.subject is not None else None,
        processings=processings,
        state=body.state,
        expires_before=body.expires_before,
    )
    after = read_cursor(pseudonyms, asked, body.page.cursor)
    async with database.read() as session:
        page = await search_consents(session, deployment, query, after=after, limit=body.page.limit)
    return ConsentsPage(
        items=[consent_body(view) for view in page.items],
        next_cursor=write_cursor(pseudonyms, asked, page.next_after),
        known=page.known,
    )


@router.get(
    "/v1/consents/{id}",
    summary="Read one consent",
    response_model_exclude_none=True,
    responses=problems(_NO_CONSENT, _INVALID),
)
async def get_consent(
    identifier: ConsentId, caller: Reader, database: DatabaseDep, deployment: DeploymentDep
) -> ConsentBody:
    """One consent and its state now."""
    async with database.read() as session:
        view = await find_consent(session, deployment, identifier)
    if view is None or not caller.may_ask_about(view.event.processing or ""):
        raise NotFoundError
    return consent_body(view)


@router.get(
    "/v1/consents/{id}/history",
    summary="Read the history of a consent",
    response_model_exclude_none=True,
    responses=problems(_NO_CONSENT, _INVALID),
)
async def get_history(identifier: ConsentId, caller: Reader, database: DatabaseDep) -> HistoryBody:
    """Every ledger entry about this consent's subject and processing: what was decided, when, how, and by which call.

    The audit trail records who read it.
    """
    async with database.write() as session:
        history = await consent_history(session, caller, identifier)
    if history is None:
        raise NotFoundError
    return HistoryBody(items=[event_body(entry) for entry in history.entries])


@router.get(
    "/v1/consent-events/{id}",
    summary="Read one entry of the ledger",
    response_model_exclude_none=True,
    responses=problems(_NO_EVENT, _INVALID),
)
async def get_event(identifier: EventId, caller: Reader, database: DatabaseDep) -> EventBody:
    """One entry of any kind by its id: a consent, a refusal, a withdrawal, a closure, an age.

    The audit trail records who read it. An entry about every processing is for callers that may see all of them.
    """
    async with database.write() as session:
        entry = await read_event(session, caller, identifier)
    if entry is None:
        raise NotFoundError
    return event_body(entry)
