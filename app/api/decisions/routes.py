"""The documented routes of the decision endpoints: the OpenAPI page shows them, and any ASGI server reaches them.

Under `sceau serve` the connection itself answers most of these requests (`app.api.decisions.connection`), by the same
endpoint.
"""

from typing import Any, Final, cast

from fastapi import APIRouter, Request, Response

from app.api.decisions.endpoint import BATCH, SINGLE, DecisionEndpoint, asked_of, first_fields
from app.api.decisions.models import DecisionResponse, DecisionsResponse
from app.api.decisions.wire import EvaluationRequest, EvaluationsRequest, documented_body
from app.api.decisions.words import Reply
from app.api.http.routing import PROBLEMS
from app.api.http.security import guarded_inside
from app.auth.callers import Scope

_KEY: Final[dict[str, Any]] = {"security": [{"key": []}]}

router = APIRouter(tags=["decisions"])


@router.post(
    SINGLE,
    summary="May this processing analyse this correspondence for this subject?",
    response_model=DecisionResponse,
    responses=PROBLEMS,
    openapi_extra={**documented_body(EvaluationRequest), **_KEY},
)
@guarded_inside(Scope.DECISIONS_EVALUATE)
async def evaluation(request: Request) -> Response:
    """One decision (AuthZEN 6). A deny is 200; only `decision: true` allows the analysis.

    With `Accept: text/plain` the answer is the word `permit` or `deny`.
    """
    return await _answer(request, SINGLE)


@router.post(
    BATCH,
    summary="Several questions in one request",
    response_model=DecisionsResponse | DecisionResponse,
    responses=PROBLEMS,
    openapi_extra={**documented_body(EvaluationsRequest), **_KEY},
)
@guarded_inside(Scope.DECISIONS_EVALUATE)
async def evaluations(request: Request) -> Response:
    """A batch of decisions (AuthZEN 7), in the order of its items; without items, a single one.

    An item that cannot be judged is a deny with an `error` in its place. At most 1,000 items.
    """
    return await _answer(request, BATCH)


async def _answer(request: Request, path: str) -> Response:
    endpoint = cast("DecisionEndpoint", request.app.state.decisions)
    headers = request.headers.raw
    found = endpoint.at_once(asked_of(path, headers, first_fields(headers)), await request.body())
    if not isinstance(found, Reply):
        found, request.state.caller = await endpoint.finish(found)
    response = Response(found.body, found.status)
    fields = [*found.fields, (b"content-type", found.media_type), (b"content-length", b"%d" % len(found.body))]
    response.raw_headers = list(fields)
    return response
