"""Answer a caller's questions, one or many: who asks, what it may ask about, the facts, and what to do without them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import compress

from app.auth.callers import Caller, Credential
from app.auth.quotas import Standing
from app.auth.rate_limits import RateLimits
from app.auth.scopes import Scope
from app.auth.store import authenticate
from app.auth.uses import Uses
from app.core.decision import Decision, Request
from app.core.evaluate import evaluate
from app.core.period import PeriodPolicy
from app.db.database import Database, DatabaseUnavailableError
from app.operations.evaluate_requests import evaluate_requests
from app.operations.meter_questions import meter_questions
from app.snapshot.last_known import LastKnown


class NotAllowed:
    """In the place of a decision: the caller may not ask about this processing."""


class Unknowable:
    """In the place of a decision: the facts cannot be read now."""


class Limited:
    """In the place of a decision: the caller has used up its quota, and asked about an exempt processing beside."""


Answer = Decision | NotAllowed | Unknowable | Limited


@dataclass(frozen=True, slots=True)
class Answers:
    """Who asked (None: nobody in force), the answers in the order of the questions, and when they were given.

    `at` is by the database's clock, an estimate of it while it cannot be asked; None where nobody asked.
    `standing` is how the caller stands with its quota; None where no limit applies.
    """

    caller: Caller | None
    answers: Sequence[Answer]
    at: datetime | None = None
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class DecisionPoint:
    """What answers: the database, what is remembered of it for exempt processings while it is away, and quotas.

    `instant` estimates the database's clock, as an epoch time, while that cannot be asked.
    """

    database: Database
    known: LastKnown
    uses: Uses
    policy: PeriodPolicy
    instant: Callable[[], float]
    limits: RateLimits = field(default_factory=RateLimits)


async def answer_questions(point: DecisionPoint, presented: Credential, requests: Sequence[Request]) -> Answers:
    """Find the caller and answer its questions on facts read for them.

    Without the database, purposes of III are still answered, for a caller and from a register entry that were read
    before (law.md, trap 14); every other question is `Unknowable`.

    Raises:
        ScopeMissingError: the caller may not ask for decisions at all.
        OverQuotaError: the caller has used up its quota, and no question is about an exempt processing.
        DatabaseUnavailableError: the database is away and this credential was never seen.

    """
    since = point.known.forgettings
    try:
        async with point.database.read() as session:
            found = await authenticate(session, presented)
            point.known.remember_caller(presented.digest, found, since)
            if found is None:
                return Answers(None, ())
            caller = found.caller
            point.uses.note(found)
            caller.require(Scope.DECISIONS_EVALUATE)
            allowed = [request for request in requests if caller.may_ask_about(request.processing)]
            admitted = await meter_questions(session, point.limits, caller, allowed)
            asked = list(compress(allowed, admitted.answered))
            evaluated = await evaluate_requests(session, point.policy, asked)
    except DatabaseUnavailableError:
        point.known.away()
        return _without_database(point, presented, requests)
    point.known.heard(evaluated.at, evaluated.asked)
    for request in asked:
        point.known.remember_processing(request.processing, evaluated.register.get(request.processing), since)
    decided = iter(evaluated.decisions)
    of_allowed = iter([next(decided) if answered else Limited() for answered in admitted.answered])
    answers = [next(of_allowed) if caller.may_ask_about(each.processing) else NotAllowed() for each in requests]
    return Answers(caller, answers, evaluated.at, admitted.standing)


def _without_database(point: DecisionPoint, presented: Credential, requests: Sequence[Request]) -> Answers:
    at = datetime.fromtimestamp(point.instant(), UTC)
    caller = point.known.caller(presented.digest, at)
    if caller is None:
        raise DatabaseUnavailableError
    caller.require(Scope.DECISIONS_EVALUATE)
    return Answers(caller, [_remembered(point, caller, request, at) for request in requests], at)


def _remembered(point: DecisionPoint, caller: Caller, request: Request, at: datetime) -> Answer:
    if not caller.may_ask_about(request.processing):
        return NotAllowed()
    processing = point.known.exempt_processing(request.processing)
    if processing is None:
        return Unknowable()
    # Never before what is recorded as done: a suspension that this process has read binds it, whatever any clock says.
    done = max((change.at for change in processing.status_changes), default=at)
    return evaluate(request, processing, {}, max(at, done), point.policy)
