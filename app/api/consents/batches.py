"""Many decisions in one request: each is judged, recorded and answered for itself, in the order in which it was sent.

They are recorded a hundred at a time, together with what other requests send meanwhile (`app.api.consents.groups`).
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response
from pydantic import ValidationError

from app.api.consents.batch_models import ConsentAnswers, ConsentBatch, WithdrawalAnswers, WithdrawalBatch
from app.api.consents.groups import TOGETHER, Grouped, NeedsRemembered, grouped_for
from app.api.consents.models import NewConsent, NewWithdrawal, said_in_consent, said_in_withdrawal
from app.api.http.problems import InvalidRequestError, UnauthorizedError, failed, fields_of, response_to
from app.api.http.rate_limits import charge
from app.api.http.routing import problems, strict_router
from app.api.http.services import DeploymentDep, RateLimitsDep
from app.auth.callers import Caller, Scope
from app.auth.idempotency import Answer
from app.auth.limits import Counted
from app.core.errors import DomainError, ScopeMissingError
from app.db.database import BusyError, DatabaseUnavailableError, RestoredBehindError
from app.operations.consents.recorder import Said

_AT_A_STRETCH: Final = 25
router = strict_router("consents")

_NEEDS: Final = NeedsRemembered(Scope.CONSENTS_WRITE, counted=False)
"""The items are counted, not the request; those of withdrawals are not."""
Writer = Annotated[Caller, Depends(_NEEDS)]
GroupedWriter = Annotated[Grouped, Depends(grouped_for(_NEEDS))]


_EACH: Final = problems((422, "This is no list of 1 to 1,000 items; what is wrong with an item is told there."))


@router.post(
    "/v1/consents/batch", summary="Record many consents or refusals", response_model=ConsentAnswers, responses=_EACH
)
async def post_consents(  # noqa: PLR0917 - dependencies
    request: Request,
    body: ConsentBatch,
    caller: Writer,
    grouped: GroupedWriter,
    deployment: DeploymentDep,
    limits: RateLimitsDep,
) -> Response:
    """Record up to 1,000 decisions, each for itself: one that is refused leaves the others.

    The answer is 200 with an item for each, in order: `status` 201 and `answer`, or another status and `problem`. After
    a 503 of some items, or no answer at all, send the same request again with its `Idempotency-Key`: what was recorded
    is answered again, and the rest is recorded.
    """
    charge(request, limits, Counted.CONSENTS, caller, len(body.items))

    def read(item: object) -> Said:
        return said_in_consent(NewConsent.model_validate(item), deployment)

    return await _answer(grouped, caller, 201, body.items, read)


@router.post(
    "/v1/withdrawals/batch", summary="Withdraw many consents", response_model=WithdrawalAnswers, responses=_EACH
)
async def post_withdrawals(
    body: WithdrawalBatch, caller: Writer, grouped: GroupedWriter, deployment: DeploymentDep
) -> Response:
    """Withdraw up to 1,000 times, each for itself. Once this has answered, no decision permits what was withdrawn.

    The answer is 200 with an item for each, in order: `status` 200 and `answer`, or another status and `problem`. An
    item of 503 was not recorded, or that is not known: send the same request again with its `Idempotency-Key`.
    """

    def read(item: object) -> Said:
        return said_in_withdrawal(NewWithdrawal.model_validate(item), deployment)

    return await _answer(grouped, caller, 200, body.items, read)


async def _answer(
    grouped: Grouped, caller: Caller, status: int, items: Sequence[object], read: Callable[[object], Said]
) -> Response:
    """Record what can be, and answer each item.

    Once the database is away, or the caller may not write any more, no more of it is tried.
    """
    told: dict[int, dict[str, Any]] = {}
    wanted: dict[int, Said] = {}
    for number, item in enumerate(items):
        try:
            wanted[number] = read(item)
        except ValidationError as error:
            told[number] = _told(InvalidRequestError(fields_of(error)))
        except DomainError as error:
            told[number] = _told(error)
        if number % _AT_A_STRETCH == 0:
            await asyncio.sleep(0)
    call = await grouped.write.call(caller)
    numbers, ended = list(wanted), None
    for begin in range(0, len(numbers), TOGETHER):
        some = numbers[begin : begin + TOGETHER]
        if ended is None:
            orders = [grouped.order(caller, grouped.write.part_of(call, each), status, wanted[each]) for each in some]
            answers = await asyncio.gather(*map(grouped.groups.record, orders), return_exceptions=True)
            told |= {each: _told(answer) for each, answer in zip(some, answers, strict=True)}
            ended = next((answer for answer in answers if _ends_all(answer)), None)
        else:
            left = DatabaseUnavailableError() if isinstance(ended, DatabaseUnavailableError) else ended
            told |= {each: _told(left) for each in some}
    content = {"items": [told[number] for number in range(len(items))]}
    return Response(json.dumps(content, ensure_ascii=False), media_type="application/json")


def _ends_all(answer: Answer | BaseException) -> bool:
    """Whether what became of an item would become of all that follow."""
    if isinstance(answer, BusyError | RestoredBehindError):
        return False
    return isinstance(answer, DatabaseUnavailableError | UnauthorizedError | ScopeMissingError)


def _told(answer: Answer | BaseException) -> dict[str, Any]:
    """What is told of an item."""
    if isinstance(answer, Answer):
        return {"status": answer.status, "answer": json.loads(answer.body)}
    if not isinstance(answer, Exception):
        raise answer
    response = response_to(answer) or failed()
    return {"status": response.status_code, "problem": json.loads(bytes(response.body))}
