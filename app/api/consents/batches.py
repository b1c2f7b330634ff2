"""Many decisions in one request: each is judged, recorded and answered separately, in the order of the request.

They are recorded a hundred at a time, together with those of other requests (`app.api.consents.groups`).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response
from pydantic import BaseModel, Field, ValidationError, WithJsonSchema

from app.api.consents.groups import TOGETHER, ConsentBody, Grouped, GroupedDep, Order, WithdrawalBody
from app.api.consents.routes import CONSENT_EXAMPLE, NewConsent, NewWithdrawal
from app.api.http.problems import InvalidRequestError, Problem, failed, fields_of, response_to
from app.api.http.security import NeedsRemembered, charge, problems, strict_router
from app.api.http.services import RateLimitsDep
from app.api.http.wire import WireModel, examples
from app.auth.callers import Caller, Counted, Scope, UnauthorizedError
from app.auth.store import Answer
from app.core.errors import DomainError, ScopeMissingError
from app.db.database import BusyError, DatabaseUnavailableError, RestoredBehindError

MOST: Final = 1_000
"""How many decisions one request may hold."""
_CAROL: Final[dict[str, Any]] = {"type": "user", "id": "carol@example.fr"}
_CAROLS: Final[dict[str, Any]] = {
    **CONSENT_EXAMPLE,
    "subject": _CAROL,
    # Carol's form differs from the example's, as one document stands for one person.
    "evidence": {**CONSENT_EXAMPLE["evidence"], "document_sha256": sha256(b"Her form as it was scanned").hexdigest()},
}


def _items(of: type[BaseModel]) -> Any:  # noqa: ANN401 - a type
    """A list whose items are checked one by one, and documented as that model."""
    item = Annotated[Any, WithJsonSchema({"$ref": f"#/components/schemas/{of.__name__}"})]
    return Annotated[list[item], Field(min_length=1, max_length=MOST)]


class ConsentBatch(WireModel):
    """Decisions as `POST /v1/consents` takes them."""

    model_config = examples({"items": [_CAROLS]})

    items: _items(NewConsent)  # type: ignore[valid-type]


class WithdrawalBatch(WireModel):
    """Withdrawals as `POST /v1/withdrawals` takes them."""

    model_config = examples({"items": [{"subject": _CAROL, "processing": CONSENT_EXAMPLE["processing"]}]})

    items: _items(NewWithdrawal)  # type: ignore[valid-type]


class ConsentAnswer(BaseModel):
    """What became of one item: the status and the body that it would have been answered alone."""

    status: int
    answer: ConsentBody | None = None
    problem: Problem | None = None


class WithdrawalAnswer(BaseModel):
    """What became of one item: the status and the body that it would have been answered alone."""

    status: int
    answer: WithdrawalBody | None = None
    problem: Problem | None = None


class ConsentAnswers(BaseModel):
    """An answer for each item, in their order."""

    items: list[ConsentAnswer]


class WithdrawalAnswers(BaseModel):
    """An answer for each item, in their order."""

    items: list[WithdrawalAnswer]


_AT_A_STRETCH: Final = 25
router = strict_router("consents")

Writer = Annotated[Caller, Depends(NeedsRemembered(Scope.CONSENTS_WRITE, counted=False))]
"""The rate limit counts the items of a batch of consents, not the request. It does not count withdrawals."""


_EACH: Final = problems((422, "This is no list of 1 to 1,000 items; the answer says what is wrong with each item."))


@router.post(
    "/v1/consents/batch", summary="Record many consents or refusals", response_model=ConsentAnswers, responses=_EACH
)
async def post_consents(
    request: Request, body: ConsentBatch, caller: Writer, grouped: GroupedDep, limits: RateLimitsDep
) -> Response:
    """Record up to 1,000 decisions, each for itself: one that is refused leaves the others.

    The answer is 200 with an item for each, in order: `status` 201 and `answer`, or another status and `problem`. After
    a 503 of some items, or no answer at all, send the same request again with its `Idempotency-Key`: what was recorded
    is answered again, and the rest is recorded.
    """
    charge(request, limits, Counted.CONSENTS, caller, len(body.items))
    return await _answer(grouped, caller, 201, body.items, NewConsent)


@router.post(
    "/v1/withdrawals/batch", summary="Withdraw many consents", response_model=WithdrawalAnswers, responses=_EACH
)
async def post_withdrawals(body: WithdrawalBatch, caller: Writer, grouped: GroupedDep) -> Response:
    """Withdraw up to 1,000 times, each for itself. Once this has answered, no decision permits what was withdrawn.

    The answer is 200 with an item for each, in order: `status` 200 and `answer`, or another status and `problem`. An
    item of 503 was not recorded, or that is not known: send the same request again with its `Idempotency-Key`.
    """
    return await _answer(grouped, caller, 200, body.items, NewWithdrawal)


async def _answer(
    grouped: Grouped, caller: Caller, status: int, items: Sequence[object], of: type[NewConsent | NewWithdrawal]
) -> Response:
    """Record the items that can be recorded, and answer each.

    Once the database is away, or the caller may no longer write, the remaining groups are not tried.
    """
    call = await grouped.write.call(caller)
    results: dict[int, str] = {}
    orders: dict[int, Order] = {}
    for number, item in enumerate(items):
        part = None if call is None else replace(call, part=number)
        try:
            orders[number] = grouped.order(caller, part, status, of.model_validate(item).said())
        except ValidationError as error:
            results[number] = _result(InvalidRequestError(fields_of(error)))
        except DomainError as error:
            results[number] = _result(error)
        if number % _AT_A_STRETCH == 0:
            await asyncio.sleep(0)
    numbers, ended = list(orders), None
    for begin in range(0, len(numbers), TOGETHER):
        some = numbers[begin : begin + TOGETHER]
        if ended is None:
            recorded = (grouped.groups.record(orders[index]) for index in some)
            answers = await asyncio.gather(*recorded, return_exceptions=True)
            results |= {index: _result(answer) for index, answer in zip(some, answers, strict=True)}
            ended = next((answer for answer in answers if _ends_all(answer)), None)
        else:
            left = DatabaseUnavailableError() if isinstance(ended, DatabaseUnavailableError) else ended
            results |= {index: _result(left) for index in some}
    in_order = ",".join(results[number] for number in range(len(items)))
    return Response(f'{{"items":[{in_order}]}}', media_type="application/json")


def _ends_all(answer: Answer | BaseException) -> bool:
    """Whether all later items would get the same answer as this one."""
    if isinstance(answer, BusyError | RestoredBehindError):
        return False
    return isinstance(answer, DatabaseUnavailableError | UnauthorizedError | ScopeMissingError)


def _result(answer: Answer | BaseException) -> str:
    """The part of the response about one item, in JSON: a status, and the answer or the problem as it is sent alone."""
    if isinstance(answer, Answer):
        return f'{{"status":{answer.status},"answer":{answer.body}}}'
    if not isinstance(answer, Exception):
        raise answer
    response = response_to(answer) or failed()
    return f'{{"status":{response.status_code},"problem":{bytes(response.body).decode()}}}'
