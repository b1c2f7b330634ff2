"""Count questions against a caller's quota, where decisions are limited: those about exempt processings never."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.auth.callers import Caller
from app.auth.quotas import OverQuotaError, Standing
from app.auth.rate_limits import Counted, RateLimits
from app.core.decision import Request
from app.db.session import ReadSession
from app.register.store import load_processings

OVER_QUOTA: Final = "The caller asks too often: do not analyse, and ask again later."


@dataclass(frozen=True, slots=True)
class Admitted:
    """Which questions are answered, in their order, and how the caller stands; None where nothing is limited."""

    answered: Sequence[bool]
    standing: Standing | None


async def meter_questions(
    session: ReadSession, limits: RateLimits, caller: Caller, requests: Sequence[Request]
) -> Admitted:
    """Count questions; without quota left, only those about exempt processings are answered.

    Raises:
        OverQuotaError: the caller has used up its quota, and no question is about an exempt processing.

    """
    everything = [True] * len(requests)
    if not requests or not limits.limits(Counted.DECISIONS):
        return Admitted(everything, None)
    records = await load_processings(session, {request.processing for request in requests})
    exempt = {identifier for identifier, record in records.items() if record.facts.is_exempt}
    counted = [request.processing not in exempt for request in requests]
    if not any(counted):
        return Admitted(everything, None)
    try:
        return Admitted(everything, limits.take(Counted.DECISIONS, caller.id, sum(counted)))
    except OverQuotaError as error:
        if all(counted):
            raise
        return Admitted([not each for each in counted], error.standing)
