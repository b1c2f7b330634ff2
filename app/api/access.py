"""The AuthZEN decision endpoints: one question, and a batch of them (specification sections 6 and 7).

A deny is 200. Whatever is wrong with a request is 400, never 422; facts that cannot be read are 503.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import ValidationError

from app.api.accepting import prefers_text
from app.api.access_body import documented_body, object_of, read_body
from app.api.access_models import (
    DecisionResponse,
    DecisionsResponse,
    EvaluationRequest,
    EvaluationsRequest,
)
from app.api.answers import answer, item_error
from app.api.decision_tokens import decision_token
from app.api.problems import MalformedError, UnauthorizedError, fields_of, problem, unavailable
from app.api.questions import question_of
from app.api.quick_parts import MAX_PARTICIPANTS
from app.api.rate_limiting import note
from app.api.routing import PROBLEMS
from app.api.security import bearer_of, credential_of, guarded_inside, refuse_strangers
from app.api.services import Services, ServicesDep
from app.auth.scopes import Scope
from app.core.decision import Decision, Reason
from app.core.decision import Request as Question
from app.db.identifiers import uuid7
from app.operations.answer_questions import Answer, Answers, DecisionPoint, Limited, NotAllowed, answer_questions
from app.operations.meter_questions import OVER_QUOTA

MAX_ITEMS: Final = 1_000
_NOT_ALLOWED: Final = "The caller may not ask about this processing."
_UNAVAILABLE: Final = "The facts cannot be read now: do not analyse, and ask again."
STOPS: Final[Mapping[str, Callable[[bool], bool]]] = {
    "execute_all": lambda _: False,
    "deny_on_first_deny": lambda permitted: not permitted,
    "permit_on_first_permit": lambda permitted: permitted,
}
_KEY: Final[dict[str, Any]] = {"security": [{"key": []}]}

router = APIRouter(tags=["decisions"])


@router.post(
    "/access/v1/evaluation",
    summary="May this processing analyse this correspondence for this subject?",
    response_model=DecisionResponse,
    responses=PROBLEMS,
    openapi_extra={**documented_body(EvaluationRequest), **_KEY},
)
@guarded_inside(Scope.DECISIONS_EVALUATE)
async def evaluation(request: Request, services: ServicesDep) -> Response:
    """One decision (AuthZEN 6). A deny is 200; only `decision: true` allows the analysis.

    With `Accept: text/plain` the answer is the word `permit` or `deny`.
    """
    try:
        asked = read_body(EvaluationRequest, await object_of(request))
    except MalformedError:
        await refuse_strangers(request)
        raise
    return await _single(request, services, asked)


@router.post(
    "/access/v1/evaluations",
    summary="Several questions in one request",
    response_model=DecisionsResponse | DecisionResponse,
    responses=PROBLEMS,
    openapi_extra={**documented_body(EvaluationsRequest), **_KEY},
)
@guarded_inside(Scope.DECISIONS_EVALUATE)
async def evaluations(request: Request, services: ServicesDep) -> Response:
    """A batch of decisions (AuthZEN 7), in the order of its items; without items, a single one.

    An item that cannot be judged is a deny with an `error` in its place. At most 1,000 items.
    """
    try:
        body = await object_of(request)
        batch = read_body(EvaluationsRequest, body)
        alone = None if batch.evaluations else read_body(EvaluationRequest, body)
    except MalformedError:
        await refuse_strangers(request)
        raise
    if alone is not None:
        return await _single(request, services, alone)
    too_large = _too_large(body, batch.evaluations)
    if too_large is not None:
        await refuse_strangers(request)
        return problem(413, "too-large", too_large)
    return await _batch(request, services, body, batch)


async def _single(request: Request, services: Services, asked: EvaluationRequest) -> Response:
    question = question_of(services.deployment.pseudonyms, asked)
    answers = await _ask(request, services, [question])
    found = answers.answers[0]
    if isinstance(found, NotAllowed):
        return problem(403, "processing-not-allowed", _NOT_ALLOWED)
    if not isinstance(found, Decision):
        _count(services, permitted=False, reason=Reason.EVIDENCE_UNAVAILABLE)
        return unavailable(_UNAVAILABLE)
    first = _First()
    worded = _answered(services, answers, question, asked, found, first)
    if not await _committed(services, first):
        return unavailable(_UNAVAILABLE)
    if _wants_text(request):
        return PlainTextResponse("permit" if found.permitted else "deny")
    return JSONResponse(worded)


async def _batch(request: Request, services: Services, body: Mapping[str, Any], batch: EvaluationsRequest) -> Response:
    items = [_item(body, each) for each in batch.evaluations]
    pseudonyms = services.deployment.pseudonyms
    questions = [question_of(pseudonyms, item) for item in items if isinstance(item, EvaluationRequest)]
    answers = await _ask(request, services, questions)
    answered = zip(questions, answers.answers, strict=True)
    stops = STOPS[batch.options.evaluations_semantic]
    decisions: list[dict[str, Any]] = []
    first = _First()
    for item in items:
        if isinstance(item, EvaluationRequest):
            question, found = next(answered)
            worded = _answered(services, answers, question, item, found, first)
        else:
            worded = item
        decisions.append(worded)
        if stops(worded["decision"]):
            break
    if not await _committed(services, first):
        return unavailable(_UNAVAILABLE)
    return JSONResponse({"evaluations": decisions})


def _too_large(defaults: Mapping[str, Any], items: Sequence[Any]) -> str | None:
    """What a batch has too much of; None for one of a size that is answered."""
    if len(items) > MAX_ITEMS:
        return f"A batch holds at most {MAX_ITEMS} items."
    if _named(defaults, items) > MAX_PARTICIPANTS:
        return f"A batch names at most {MAX_PARTICIPANTS} participants in all."
    return None


def _named(defaults: Mapping[str, Any], items: Sequence[Any]) -> int:
    """How many participants the questions of a batch name, those of a default in each that takes it."""
    of_default = _participants(defaults.get("resource"))
    return sum(
        _participants(item["resource"]) if isinstance(item, dict) and "resource" in item else of_default
        for item in items
    )


def _participants(resource: Any) -> int:  # noqa: ANN401 - any JSON value
    properties = resource.get("properties") if isinstance(resource, dict) else None
    named = properties.get("participants") if isinstance(properties, dict) else None
    return len(named) if isinstance(named, list) else 0


def _item(defaults: Mapping[str, Any], item: Any) -> EvaluationRequest | dict[str, Any]:  # noqa: ANN401 - any JSON value
    """One question of a batch, or the deny that stands for an item that is none."""
    if not isinstance(item, dict):
        return item_error(400, "An item is an object.")
    members = {name: defaults[name] for name in ("subject", "action", "resource", "context") if name in defaults}
    try:
        return EvaluationRequest.model_validate({**members, **item})
    except ValidationError as error:
        wrong = "; ".join(f"{each.field}: {each.message}" for each in fields_of(error))
        return item_error(400, wrong)


async def _ask(request: Request, services: Services, questions: Sequence[Question]) -> Answers:
    presented = await credential_of(services, bearer_of(request))
    point = DecisionPoint(
        services.database,
        services.known,
        services.uses,
        services.deployment.policy,
        instant=services.instant,
        limits=services.limits,
    )
    answers = await answer_questions(point, presented, questions)
    if answers.caller is None:
        raise UnauthorizedError(presented=True)
    request.state.caller = str(answers.caller.id)
    note(request.scope, answers.standing)
    return answers


@dataclass(slots=True)
class _First:
    """What must be committed to the log before an answer is sent, and when the first of those permits ends."""

    rows: list[bytes] = field(default_factory=list)
    until: float = math.inf


async def _committed(services: Services, first: _First) -> bool:
    """Commit what must be, together; whether the permits that it is about still stand after the wait.

    Raises:
        DatabaseUnavailableError: it cannot be, or not in time.

    """
    if services.recorder is None or not first.rows:
        return True
    await services.recorder.log.commit(first.rows)
    return services.instant() < first.until


def _answered(  # noqa: PLR0917 - what an answer is made of
    services: Services, answers: Answers, question: Question, asked: EvaluationRequest, found: Answer, first: _First
) -> dict[str, Any]:
    """One answer as JSON, counted and logged; `first` takes what must be committed before it is sent."""
    if isinstance(found, NotAllowed):
        return item_error(403, _NOT_ALLOWED)
    if isinstance(found, Limited):
        return item_error(429, OVER_QUOTA)
    if not isinstance(found, Decision) or answers.caller is None or answers.at is None:
        _count(services, permitted=False, reason=Reason.EVIDENCE_UNAVAILABLE)
        return item_error(503, _UNAVAILABLE, Reason.EVIDENCE_UNAVAILABLE)
    at, who = answers.at, answers.caller.id
    identifier = uuid7(at)
    if services.recorder is not None:
        named = (asked.resource.type, asked.resource.id)
        row = services.recorder.record(at.timestamp(), identifier, who, question, named, found)
        if row is not None:
            first.rows.append(row)
            first.until = min(first.until, found.valid_until.timestamp() if found.valid_until else math.inf)
    _count(services, permitted=found.permitted, reason=found.reason)
    worded = answer(found, identifier)
    if asked.context.decision_token:
        token = decision_token(services, who, at, question, asked, found, identifier)
        if token is not None:
            worded["context"]["decision_token"] = token
    return worded


def _count(services: Services, *, permitted: bool, reason: Reason) -> None:
    services.metrics.decisions.count_reason(permitted=permitted, reason=reason.value)


def _wants_text(request: Request) -> bool:
    return prefers_text(",".join(request.headers.getlist("accept")))
