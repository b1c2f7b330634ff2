"""AuthZEN's searches (specification, section 8): for subjects, and for actions. Resource search is not offered.

Each result comes out of the same evaluation that a question would meet. A page token is bound to the query and to the
caller that it was handed to.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from app.api.decisions.models import (
    MOST_RESULTS,
    Action,
    ActionSearchRequest,
    ActionsFound,
    Resource,
    SearchPage,
    SubjectSearchRequest,
    SubjectsFound,
    documented_body,
)
from app.api.decisions.reading import circumstances, parties, read_members, read_object, refuse_faults
from app.api.http.paging import read_token, write_token
from app.api.http.problems import FieldError, MalformedError
from app.api.http.security import Needs, problems, says_json
from app.api.http.services import DeploymentDep, LookDep, PrimaryReadsDep
from app.auth.callers import Caller, Scope
from app.core.decision import Decision
from app.core.decision import DecisionRequest as Evaluation
from app.core.errors import InvalidCursorError
from app.ledger.identifiers import Pseudonyms
from app.operations.decisions.judging import Question
from app.operations.decisions.searches import SubjectQuery, record_search, search_actions, search_subjects

router = APIRouter(tags=["decisions"])

Searcher = Annotated[Caller, Depends(Needs(Scope.DECISIONS_SEARCH))]
_NOBODY: Final = b""
_Search = TypeVar("_Search", SubjectSearchRequest, ActionSearchRequest)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins, how many results it may have, and the query that its next token is for."""

    query: str
    after: bytes
    limit: int


@router.post(
    "/access/v1/search/subject",
    summary="Which subjects may this processing analyse this correspondence for?",
    response_model=SubjectsFound,
    responses=problems(),
    openapi_extra=documented_body(SubjectSearchRequest),
)
async def post_subject_search(
    request: Request, caller: Searcher, reads: PrimaryReadsDep, look: LookDep, deployment: DeploymentDep
) -> Response:
    """Subjects of a type for whom the answer would be a permit now (AuthZEN 8.4), as far as Sceau knows their ids.

    For a processing under III, which is permitted for everybody, no subject is listed; `context.everyone` says so.
    Never decide from a search: ask about each correspondence. The audit trail records who received ids.
    """
    body, search = await _read(request, SubjectSearchRequest)
    caller.require_processing(search.action.name)
    pseudonyms, kind = deployment.pseudonyms, search.subject.type
    place = _place(pseudonyms, f"subjects {caller.id}", _without(body, "subject", "id"), search.page)
    if place.limit == 0:
        return _nothing_yet(pseudonyms, place)
    question = _request(pseudonyms, kind, "", search.action, search.resource)
    after = UUID(bytes=place.after) if place.after else None
    query = SubjectQuery(question, kind)
    # Not in the transaction that records it: only such a read is of a database that was not set back.
    async with reads.read() as session:
        page = await search_subjects(session, deployment, query, after=after, limit=place.limit)
    if page.ids:
        async with look() as recording:
            await record_search(recording, caller, query, page)
    results = [{"type": kind, "id": each} for each in page.ids]
    next_after = page.next_after.bytes if page.next_after is not None else None
    return _page(pseudonyms, place, results, next_after, page.everyone)


@router.post(
    "/access/v1/search/action",
    summary="Which processings may analyse this correspondence for this subject?",
    response_model=ActionsFound,
    responses=problems(),
    openapi_extra=documented_body(ActionSearchRequest),
)
async def post_action_search(
    request: Request, caller: Searcher, reads: PrimaryReadsDep, deployment: DeploymentDep
) -> Response:
    """Processings for which the answer would be a permit now (AuthZEN 8.6), each on all elements that it declares.

    Only processings that the caller may ask about are looked at. Those of III are permitted for every subject, so
    they are found even for a subject that Sceau does not know.
    """
    body, search = await _read(request, ActionSearchRequest)
    pseudonyms, kind = deployment.pseudonyms, search.subject.type
    place = _place(pseudonyms, f"actions {caller.id}", _without(body, "action"), search.page)
    if place.limit == 0:
        return _nothing_yet(pseudonyms, place)
    question = _request(pseudonyms, kind, search.subject.id, None, search.resource)
    after = place.after.decode()
    among = caller.processings
    async with reads.read() as session:
        page = await search_actions(session, deployment, question, among, after=after, limit=place.limit)
    results = [{"name": each} for each in page.names]
    return _page(pseudonyms, place, results, page.next_after.encode() if page.next_after is not None else None)


async def _read(request: Request, model: type[_Search]) -> tuple[dict[str, Any], _Search]:
    """The body of a search, as sent and as declared.

    Raises:
        MalformedError: it is not as it should be.

    """
    if not says_json(request):
        raise MalformedError("Send the request as application/json.")
    body = read_object(await request.body())
    return body, read_members(model, body)


def _request(
    pseudonyms: Pseudonyms, kind: str, identifier: str, action: Action | None, resource: Resource
) -> Evaluation:
    """The question as the rules take it: of no subject yet where the id is "", of no processing yet without an action.

    Raises:
        MalformedError: something in it is not as it should be.

    """
    refuse_faults(kind, identifier, action.name if action else "", resource)
    of, listed = circumstances(action.name if action else "", action, resource), resource.properties.participants
    others = None if listed is None else parties(kind, listed, pseudonyms.locator)
    subject = pseudonyms.locator(kind, identifier) if identifier else _NOBODY
    return Question(of, subject, None, (resource.type, resource.id), (kind, "")).request(others)


def _without(body: Mapping[str, Any], member: str, inner: str | None = None) -> dict[str, Any]:
    """The body without what the search ignores."""
    kept = {name: value for name, value in body.items() if name != member}
    if inner is not None:
        kept[member] = {name: value for name, value in body[member].items() if name != inner}
    return kept


def _place(pseudonyms: Pseudonyms, what: str, body: Mapping[str, Any], page: SearchPage) -> _Place:
    """Where to begin. With a token, whatever else was asked must be as it was (8.2); a limit may be left out.

    Raises:
        MalformedError: the token was not handed out for this query, by this limit, to this caller.

    """
    of_page = {name: value for name, value in body.get("page", {}).items() if name not in {"token", "limit"}}
    query = f"{what} {json.dumps({**body, 'page': of_page}, sort_keys=True)}"
    limit = min(page.limit, MOST_RESULTS)
    if not page.token:
        return _Place(query, b"", limit)
    try:
        before, after = read_token(pseudonyms, query, page.token)
    except InvalidCursorError as error:
        raise MalformedError(
            "Send with a token what was sent to get it.", [FieldError(field="page.token", message=error.detail)]
        ) from None
    if before is None:
        return _Place(query, after, limit)
    if "limit" in body.get("page", {}) and limit != before:
        message = "must be as it was, or be left out"
        raise MalformedError(
            "Send with a token what was sent to get it.", [FieldError(field="page.limit", message=message)]
        )
    return _Place(query, after, before)


def _nothing_yet(pseudonyms: Pseudonyms, place: _Place) -> Response:
    """The answer to a limit of 0: no result, and a token from which to begin, or to go on, with any limit."""
    token = write_token(pseudonyms, place.query, None, place.after)
    return JSONResponse({"page": {"next_token": token, "count": 0}, "results": []})


def _page(
    pseudonyms: Pseudonyms,
    place: _Place,
    results: list[dict[str, str]],
    next_after: bytes | None,
    everyone: Decision | None = None,
) -> Response:
    """One page; `page` stands first, so that a reader knows what is to come (8.3)."""
    token = write_token(pseudonyms, place.query, place.limit, next_after) if next_after is not None else ""
    answer: dict[str, Any] = {"page": {"next_token": token, "count": len(results)}}
    if everyone is not None:
        article = {"article": everyone.article.value} if everyone.article is not None else {}
        answer["context"] = {"everyone": True, "reason": everyone.reason.value, **article}
    return JSONResponse({**answer, "results": results})
