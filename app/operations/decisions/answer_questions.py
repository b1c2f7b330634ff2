"""Answer a caller's questions, one or many: who asks, the facts, the rules, the quota.

Every request takes the same way through here. Facts come from memory while a lease allows that, else from the primary;
they are judged alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.auth.callers import Counted, Credential
from app.db.database import DatabaseUnavailableError
from app.operations.decisions.from_database import Primary, answer_from_database
from app.operations.decisions.from_memory import Found, Memory, look, read_and_look, still_stands
from app.operations.decisions.judging import (
    Answer,
    AnsweredRequest,
    Judged,
    Question,
    Unanswered,
    count_questions,
    refuse_before_reading,
)


@dataclass(frozen=True, slots=True)
class DecisionPoint:
    """What answers: memory (None in strict mode), the primary, and `instant`, which estimates the database's clock."""

    memory: Memory | None
    primary: Primary
    instant: Callable[[], float]


def answer_at_once(point: DecisionPoint, digest: bytes, questions: Sequence[Question]) -> AnsweredRequest | None:
    """Answer from memory alone; None if something is missing or the credential is not in force. Awaits nothing.

    Raises:
        ScopeMissingError: the caller may not ask for decisions at all.
        OverQuotaError: the caller has used up its quota, and no question is about an exempt processing.

    """
    memory = point.memory
    if memory is None:
        return None
    recalled = look(memory, digest, questions)
    if recalled is None or recalled.caller is None:
        return None
    memory.hits += 1
    return _counted(point, recalled)


async def answer_questions(
    point: DecisionPoint, presented: Credential, questions: Sequence[Question]
) -> AnsweredRequest:
    """Read what memory lacks, then answer.

    Raises:
        ScopeMissingError: the caller may not ask for decisions at all.
        OverQuotaError: the caller has used up its quota, and no question is about an exempt processing.
        DatabaseUnavailableError: the database is away and this credential was never seen.

    """
    memory = point.memory
    if memory is not None:
        refuse_before_reading(point.primary.limits, memory.replica, presented.digest, questions)
        try:
            recalled = await read_and_look(memory, presented.digest, questions)
        except DatabaseUnavailableError:
            recalled = None
        if recalled is not None:
            return _counted(point, recalled)
    return await answer_from_primary(point, presented, questions)


async def answer_from_primary(
    point: DecisionPoint, presented: Credential, questions: Sequence[Question]
) -> AnsweredRequest:
    """Answer on facts read for this request, even if memory holds them. Raises as `answer_questions` does."""
    return await answer_from_database(point.primary, presented, questions, point.instant())


async def stand_after_waiting(
    point: DecisionPoint, digest: bytes, questions: Sequence[Question], answered: AnsweredRequest
) -> bool:
    """Return whether permits among the answers may still be sent after a wait, as for the commit of their log rows."""
    if point.memory is not None and answered.from_memory:
        return await still_stands(point.memory, digest, questions, answered.answers)
    ends = [answer.valid_until for answer in answered.answers if isinstance(answer, Judged)]
    return all(end is None or point.instant() < end.timestamp() for end in ends)


def _counted(point: DecisionPoint, recalled: Found) -> AnsweredRequest:
    """Return what memory recalled as answers, counted against the caller's quota."""
    if recalled.caller is None:
        return AnsweredRequest(None, (), recalled.at)
    limits = point.primary.limits
    answers: Sequence[Answer] = [each or Unanswered.NOT_ALLOWED for each in recalled.judged]
    if not limits.limits(Counted.DECISIONS):
        return AnsweredRequest(recalled.caller, answers, recalled.at, None, from_memory=True)
    judged = [each for each in recalled.judged if each is not None]
    exempt_alone, standing = count_questions(limits, recalled.caller, [each.common.exempt for each in judged])
    if exempt_alone:
        limited = Unanswered.LIMITED
        answers = [each if isinstance(each, Unanswered) or each.common.exempt else limited for each in answers]
    return AnsweredRequest(recalled.caller, answers, recalled.at, standing, from_memory=True)
