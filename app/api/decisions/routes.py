"""The documented routes of the decision endpoints: the OpenAPI page shows them, and any ASGI server reaches them.

Under `sceau serve` the connection itself answers most of these requests (`app.api.decisions.endpoint`), by the same
endpoint.
"""

from typing import Any, Final, cast
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from app.api.decisions.endpoint import BATCH, SINGLE, DecisionEndpoint, request_of
from app.api.decisions.models import (
    DecisionResponse,
    DecisionsResponse,
    EvaluationRequest,
    EvaluationsRequest,
    documented_body,
)
from app.api.decisions.words import Reply
from app.api.http.exchange import first_fields
from app.api.http.security import guarded_inside, open_to_all, problems
from app.api.http.services import SourceDep
from app.api.http.wire import examples
from app.auth.callers import Scope

# A Host or forwarding header is whatever a client says: metadata made from it would send other clients elsewhere.

WELL_KNOWN: Final = "/.well-known/authzen-configuration"
CAPABILITIES: Final = ("urn:sceau:capability:decision-token", "urn:sceau:capability:text-plain")
"""What Sceau adds to the specification. The IANA registry holds none of them: it is for profiles, these are ours."""
_KEPT: Final = "public, max-age=300"


class Configuration(BaseModel):
    """AuthZEN metadata (9.1). There is no `search_resource_endpoint`: Sceau keeps no correspondences to search."""

    model_config = examples(
        {
            "policy_decision_point": "https://sceau.example.fr",
            "access_evaluation_endpoint": "https://sceau.example.fr/access/v1/evaluation",
            "access_evaluations_endpoint": "https://sceau.example.fr/access/v1/evaluations",
            "search_subject_endpoint": "https://sceau.example.fr/access/v1/search/subject",
            "search_action_endpoint": "https://sceau.example.fr/access/v1/search/action",
            "capabilities": list(CAPABILITIES),
        }
    )

    policy_decision_point: str
    access_evaluation_endpoint: str
    access_evaluations_endpoint: str
    search_subject_endpoint: str
    search_action_endpoint: str
    capabilities: list[str] = Field(description="URNs of what this service offers beyond the specification")


def discovery_router(public_url: str) -> APIRouter:
    """The routes of the metadata: where the well-known part stands between host and path of the public address (9.2).

    An address with a path has two, the second for a proxy that takes the path away.
    """
    router = APIRouter(tags=["operation"])
    path = urlsplit(public_url).path.rstrip("/")
    for well_known in dict.fromkeys((WELL_KNOWN + path, WELL_KNOWN)):
        router.get(well_known, summary="Where the AuthZEN endpoints are")(configuration)
    return router


@open_to_all
async def configuration(base: SourceDep, response: Response) -> Configuration:
    """AuthZEN metadata, from SCEAU_PUBLIC_URL alone. Keep it for five minutes."""
    response.headers["Cache-Control"] = _KEPT
    return Configuration(
        policy_decision_point=base,
        access_evaluation_endpoint=f"{base}/access/v1/evaluation",
        access_evaluations_endpoint=f"{base}/access/v1/evaluations",
        search_subject_endpoint=f"{base}/access/v1/search/subject",
        search_action_endpoint=f"{base}/access/v1/search/action",
        capabilities=list(CAPABILITIES),
    )


_KEY: Final[dict[str, Any]] = {"security": [{"key": []}]}

router = APIRouter(tags=["decisions"])


@router.post(
    SINGLE,
    summary="May this processing analyse this correspondence for this subject?",
    response_model=DecisionResponse,
    responses=problems(),
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
    responses=problems(),
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
    outcome = endpoint.at_once(request_of(path, headers, first_fields(headers)), await request.body())
    if not isinstance(outcome, Reply):
        outcome, request.state.caller = await endpoint.finish(outcome)
    response = Response(outcome.body, outcome.status)
    fields = [*outcome.fields, (b"content-type", outcome.media_type), (b"content-length", b"%d" % len(outcome.body))]
    response.raw_headers = list(fields)
    return response
