"""Many decisions in one request: each is judged, recorded and answered for itself, in the order in which it was sent.

They are recorded some at a time, in one transaction, so that one COMMIT and one confirmation serve many. Within it the
subjects are taken in one order, so that two requests never wait for each other.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import structlog
from fastapi import Depends, Request, Response
from pydantic import ValidationError

from app.api.consents.batch_models import ConsentAnswers, ConsentBatch, WithdrawalAnswers, WithdrawalBatch
from app.api.consents.models import NewConsent, NewWithdrawal
from app.api.consents.recording import Recording, recording_of_consent, recording_of_withdrawal
from app.api.http.idempotency import Write, WriteDep
from app.api.http.problems import InvalidRequestError, failed, fields_of, response_to
from app.api.http.rate_limits import charge
from app.api.http.routing import problems, strict_router
from app.api.http.security import Needs
from app.api.http.services import DeploymentDep, RateLimitsDep
from app.api.http.wire import SubjectBody
from app.auth.callers import Caller
from app.auth.limits.rate_limits import Counted
from app.auth.scopes import Scope
from app.core.errors import DomainError
from app.db.database import BusyError, DatabaseUnavailableError
from app.db.session import PartRefusedError, WriteSession
from app.operations.service.deployment import Deployment

_TOGETHER: Final = 50
"""How many are recorded in one transaction: it stays far within the deadline of one, and others wait little for it."""
log = structlog.get_logger("sceau")
router = strict_router("consents")

Writer = Annotated[Caller, Depends(Needs(Scope.CONSENTS_WRITE, counted=False))]
"""The items are counted, not the request; those of withdrawals are not."""


_EACH: Final = problems((422, "This is no list of 1 to 1,000 items; what is wrong with an item is told there."))


@router.post(
    "/v1/consents/batch", summary="Record many consents or refusals", response_model=ConsentAnswers, responses=_EACH
)
async def post_consents(  # noqa: PLR0917 - dependencies
    request: Request,
    body: ConsentBatch,
    caller: Writer,
    deployment: DeploymentDep,
    limits: RateLimitsDep,
    write: WriteDep,
) -> Response:
    """Record up to 1,000 decisions, each for itself: one that is refused leaves the others.

    The answer is 200 with an item for each, in order: `status` 201 and `answer`, or another status and `problem`. After
    a 503 of some items, or no answer at all, send the same request again with its `Idempotency-Key`: what was recorded
    is answered again, and the rest is recorded.
    """
    charge(request, limits, Counted.CONSENTS, caller, len(body.items))

    def read(item: object) -> _Item:
        one = NewConsent.model_validate(item)
        return _Item(_place(one.subject, deployment), recording_of_consent(one, caller, deployment))

    return await _Answering(write, caller, 201).answer(body.items, read)


@router.post(
    "/v1/withdrawals/batch", summary="Withdraw many consents", response_model=WithdrawalAnswers, responses=_EACH
)
async def post_withdrawals(
    body: WithdrawalBatch, caller: Writer, deployment: DeploymentDep, write: WriteDep
) -> Response:
    """Withdraw up to 1,000 times, each for itself. Once this has answered, no decision permits what was withdrawn.

    The answer is 200 with an item for each, in order: `status` 200 and `answer`, or another status and `problem`. An
    item of 503 was not recorded, or that is not known: send the same request again with its `Idempotency-Key`.
    """

    def read(item: object) -> _Item:
        one = NewWithdrawal.model_validate(item)
        return _Item(_place(one.subject, deployment), recording_of_withdrawal(one, caller, deployment))

    return await _Answering(write, caller, 200).answer(body.items, read)


def _place(subject: SubjectBody, deployment: Deployment) -> bytes:
    """Where a subject stands in the order in which a transaction takes several."""
    name = subject.name()
    return min(deployment.pseudonyms.locators(name.type, name.id))


@dataclass(frozen=True, slots=True)
class _Item:
    """One item that can be recorded, and its subject's place."""

    place: bytes
    record: Recording


@dataclass(frozen=True, slots=True)
class _Answering:
    """The items of one request, and what each is answered, by its number."""

    write: Write
    caller: Caller
    status: int
    told: dict[int, dict[str, Any]] = field(default_factory=dict)

    async def answer(self, items: Sequence[object], read: Callable[[object], _Item]) -> Response:
        """Record what can be, and answer each item. Once the database is away, no more of it is tried."""
        wanted: dict[int, _Item] = {}
        for number, item in enumerate(items):
            try:
                wanted[number] = read(item)
            except ValidationError as error:
                self.told[number] = _refused(InvalidRequestError(fields_of(error)))
            except DomainError as error:
                self.told[number] = _refused(error)
        numbers = list(wanted)
        for begin in range(0, len(numbers), _TOGETHER):
            together = numbers[begin : begin + _TOGETHER]
            try:
                await self._record({number: wanted[number] for number in together})
            except DatabaseUnavailableError as error:
                self.told.update({each: _refused(error) for each in together if each not in self.told})
                self.told.update({each: _refused(DatabaseUnavailableError()) for each in numbers[begin + _TOGETHER :]})
                break
        answers = {"items": [self.told[number] for number in range(len(items))]}
        return Response(json.dumps(answers, ensure_ascii=False), media_type="application/json")

    async def _record(self, items: Mapping[int, _Item]) -> None:
        """Record some in one transaction; one by one where others hold one of their subjects.

        Raises:
            DatabaseUnavailableError: those without an answer were not recorded, or that is not known.

        """
        try:
            async with self.write.writer.write() as session:
                ordered = sorted(items, key=lambda number: (items[number].place, number))
                told = {number: await self._one(session, number, items[number]) for number in ordered}
            self.told.update(told)
        except BusyError as error:
            if len(items) == 1:
                self.told.update(dict.fromkeys(items, _refused(error)))
                return
            for number, item in items.items():
                await self._record({number: item})

    async def _one(self, session: WriteSession, number: int, item: _Item) -> dict[str, Any]:
        try:
            async with session.attempt():
                call = await self.write.call(self.caller, part=number)
                given = await self.write.once(session, call, self.status, item.record)
        except DomainError as error:
            return _refused(error)
        except PartRefusedError as error:
            log.warning("an item of a batch failed", cause=type(error.__cause__).__name__)  # its words may hold values
            return _refused(error)
        return {"status": given.status, "answer": json.loads(given.body)}


def _refused(error: Exception) -> dict[str, Any]:
    """What an item is answered that was not recorded."""
    response = response_to(error) or failed()
    return {"status": response.status_code, "problem": json.loads(bytes(response.body))}
