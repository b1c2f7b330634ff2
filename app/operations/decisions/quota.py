"""Questions counted against a caller's quota, where decisions are limited.

Questions about exempt processings are neither counted nor refused: the mail must not stop (law.md, trap 14).
"""

from collections.abc import Sequence
from typing import Final

from app.auth.callers import Caller
from app.auth.limits import Counted, OverQuotaError, QuotaStatus, RateLimits
from app.operations.decisions.judging import Question
from app.snapshot.replica import Replica

OVER_QUOTA: Final = "The caller asks too often: do not analyse, and ask again later."


def count_questions(
    limits: RateLimits, caller: Caller, exempt: Sequence[bool]
) -> tuple[Sequence[bool] | None, QuotaStatus | None]:
    """Count the questions of a request that are not about exempt processings.

    Returns which questions may be answered (None: all of them) and how much of the quota is left (None: no limit).

    Raises:
        OverQuotaError: the caller has used up its quota, and no question is about an exempt processing.

    """
    counted = len(exempt) - sum(exempt)
    if not counted or not limits.limits(Counted.DECISIONS):
        return None, None
    try:
        return None, limits.take(Counted.DECISIONS, caller.id, counted)
    except OverQuotaError as error:
        if counted == len(exempt):
            raise
        return exempt, error.standing


def refuse_before_reading(limits: RateLimits, replica: Replica, digest: bytes, questions: Sequence[Question]) -> None:
    """Refuse a caller that has used up its quota before anything is read for its questions.

    Raises:
        OverQuotaError: the caller and all processings are held in memory, and no question would be answered.

    """
    held = replica.callers.get(digest)
    standing = limits.used_up(Counted.DECISIONS, held.caller.id) if held and held.caller else None
    if standing is None:
        return
    records = (replica.register.get(question.processing) for question in questions)
    if all(record is not None and not (record.processing and record.processing.is_exempt) for record in records):
        raise OverQuotaError(standing)
