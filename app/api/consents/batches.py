"""Many decisions in one request: each is judged, recorded and answered for itself, in the order in which it was sent.

They are recorded some at a time, in one transaction, so that one COMMIT and one confirmation serve many. It holds all
of their people first, in one order, so that two requests do not wait for each other in vain.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Final

import structlog
from fastapi import Depends, Request, Response
from pydantic import ValidationError

from app.api.consents.batch_models import ConsentAnswers, ConsentBatch, WithdrawalAnswers, WithdrawalBatch
from app.api.consents.models import NewConsent, NewWithdrawal
from app.api.consents.recording import Recording, recording_of_consent, recording_of_withdrawal
from app.api.http.idempotency import Write, WriteDep
from app.api.http.problems import InvalidRequestError, UnauthorizedError, failed, fields_of, response_to
from app.api.http.rate_limits import charge
from app.api.http.routing import problems, strict_router
from app.api.http.security import AskAgain, Needs, asked_again
from app.api.http.services import DeploymentDep, RateLimitsDep
from app.api.http.wire import SubjectBody
from app.auth.callers import Caller
from app.auth.idempotency import IdempotentCall
from app.auth.limits.rate_limits import Counted
from app.auth.scopes import Scope
from app.core.errors import DomainError
from app.db.database import BusyError, DatabaseUnavailableError, OutcomeUnknownError
from app.db.session import PartRefusedError, WriteSession
from app.operations.consents.subjects.follow import hold_people
from app.operations.service.deployment import Deployment, SubjectName

_TOGETHER: Final = 50
"""How many are recorded in one transaction: it stays far within the deadline of one, and others wait little for it."""
log = structlog.get_logger("sceau")
router = strict_router("consents")

_NEEDS: Final = Needs(Scope.CONSENTS_WRITE, counted=False)
"""The items are counted, not the request; those of withdrawals are not."""
Writer = Annotated[Caller, Depends(_NEEDS)]
Again = Annotated[AskAgain, Depends(asked_again(_NEEDS))]
"""Looks the caller up in each transaction: a key that is revoked meanwhile records nothing more."""


_EACH: Final = problems((422, "This is no list of 1 to 1,000 items; what is wrong with an item is told there."))


@router.post(
    "/v1/consents/batch", summary="Record many consents or refusals", response_model=ConsentAnswers, responses=_EACH
)
async def post_consents(  # noqa: PLR0917 - dependencies
    request: Request,
    body: ConsentBatch,
    caller: Writer,
    again: Again,
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
        return _Item(_name(one.subject, deployment), recording_of_consent(one, deployment))

    return await _Answering(write, deployment, again, 201).answer(body.items, read)


@router.post(
    "/v1/withdrawals/batch", summary="Withdraw many consents", response_model=WithdrawalAnswers, responses=_EACH
)
async def post_withdrawals(body: WithdrawalBatch, again: Again, deployment: DeploymentDep, write: WriteDep) -> Response:
    """Withdraw up to 1,000 times, each for itself. Once this has answered, no decision permits what was withdrawn.

    The answer is 200 with an item for each, in order: `status` 200 and `answer`, or another status and `problem`. An
    item of 503 was not recorded, or that is not known: send the same request again with its `Idempotency-Key`.
    """

    def read(item: object) -> _Item:
        one = NewWithdrawal.model_validate(item)
        return _Item(_name(one.subject, deployment), recording_of_withdrawal(one, deployment))

    return await _Answering(write, deployment, again, 200).answer(body.items, read)


def _name(subject: SubjectBody, deployment: Deployment) -> SubjectName:
    """A subject as operations name it.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    name = subject.name()
    deployment.pseudonyms.locators(name.type, name.id)
    return name


@dataclass(frozen=True, slots=True)
class _Item:
    """One item that can be recorded: about whom, and what records it."""

    about: SubjectName
    record: Recording


@dataclass(frozen=True, slots=True)
class _Answering:
    """The items of one request, and what each is answered, by its number."""

    write: Write
    deployment: Deployment
    ask: AskAgain
    status: int
    told: dict[int, dict[str, Any]] = field(default_factory=dict)

    async def answer(self, items: Sequence[object], read: Callable[[object], _Item]) -> Response:
        """Record what can be, and answer each item.

        Once the database is away, or the caller may not write any more, no more of it is tried.
        """
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
            together = {number: wanted[number] for number in numbers[begin : begin + _TOGETHER]}
            try:
                await self._record(together)
            except (DatabaseUnavailableError, UnauthorizedError, DomainError) as error:
                self._leave(together, error)
                # What became of these may be unknown; the rest was not tried.
                away = isinstance(error, DatabaseUnavailableError)
                self._leave(numbers, DatabaseUnavailableError() if away else error)
                break
        answers = {"items": [self.told[number] for number in range(len(items))]}
        return Response(json.dumps(answers, ensure_ascii=False), media_type="application/json")

    def _leave(self, numbers: Iterable[int], error: Exception) -> None:
        """Answer those without an answer that they were not recorded."""
        self.told.update({number: _refused(error) for number in numbers if number not in self.told})

    async def _record(self, items: Mapping[int, _Item]) -> None:
        """Record some in one transaction; one by one where that takes too long, or others hold one of their subjects.

        Raises:
            DatabaseUnavailableError: those without an answer were not recorded, or that is not known.
            UnauthorizedError: the credential is not in force any more; those without an answer were not recorded.
            ScopeMissingError: the same of the scope.

        """
        try:
            async with self.write.writer.turns, self.write.writer.write() as session:
                caller = await self.ask(session)
                call = await self.write.call(caller)
                # All of them first, in the order in which every writer holds several.
                await hold_people(session, self.deployment, *{item.about for item in items.values()})
                told = {
                    number: await self._one(session, caller, self.write.part_of(call, number), item)
                    for number, item in items.items()
                }
            self.told.update(told)
        except OutcomeUnknownError:
            raise
        except DatabaseUnavailableError as error:
            if len(items) > 1:
                for number, item in items.items():
                    await self._record({number: item})
            elif isinstance(error, BusyError):
                self._leave(items, error)
            else:
                raise

    async def _one(
        self, session: WriteSession, caller: Caller, call: IdempotentCall | None, item: _Item
    ) -> dict[str, Any]:
        try:
            async with session.attempt():
                given = await self.write.once(session, call, self.status, partial(item.record, caller=caller))
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
