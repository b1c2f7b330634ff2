"""Counting questions on the hot path, for callers whose decisions are limited. Where nothing is limited there is none.

Questions about exempt processings are neither counted nor refused (law.md, trap 14).
"""

import json
from collections.abc import Sequence
from typing import Final

from app.api.answers import item_error
from app.auth.callers import Caller
from app.auth.quotas import OverQuotaError, Standing
from app.auth.rate_limits import Counted, RateLimits
from app.operations.meter_questions import OVER_QUOTA
from app.operations.prepared import Prepared, Question
from app.snapshot.records import RegisterRecord
from app.snapshot.replica import Replica

REFUSED_ITEM: Final = json.dumps(item_error(429, OVER_QUOTA), separators=(",", ":")).encode()
"""What stands in the place of an answer that a caller has no quota for, beside exempt ones in one batch."""


class HotMeter:
    """Counts the questions of a request that memory answers."""

    def __init__(self, limits: RateLimits) -> None:
        """Count against these limits."""
        self._limits = limits

    def one(self, caller: Caller, prepared: Prepared) -> Standing | None:
        """Count one question; how the caller stands then.

        Raises:
            OverQuotaError: the caller has used up its quota, and the processing is not exempt.

        """
        return None if is_exempt(prepared.register) else self._limits.take(Counted.DECISIONS, caller.id)

    def many(self, caller: Caller, found: Sequence[Prepared | None]) -> tuple[Standing | None, bool]:
        """Count the questions of a batch: how the caller stands then, and whether only exempt ones are answered.

        Raises:
            OverQuotaError: the caller has used up its quota, and no question is about an exempt processing.

        """
        counted = sum(each is not None and not is_exempt(each.register) for each in found)
        if not counted:
            return None, False
        try:
            return self._limits.take(Counted.DECISIONS, caller.id, counted), False
        except OverQuotaError as error:
            if counted == len(found):
                raise
            return error.standing, True

    def check(self, replica: Replica, digest: bytes, questions: Sequence[Question]) -> None:
        """Refuse before anything is read for questions that would be refused after it.

        Raises:
            OverQuotaError: as for `many`.

        """
        held = replica.callers.get(digest)
        standing = self._limits.used_up(Counted.DECISIONS, held.caller.id) if held and held.caller else None
        if standing is None:
            return
        records = (replica.register.get(question.shape.processing) for question in questions)
        if all(record is not None and not is_exempt(record) for record in records):
            raise OverQuotaError(standing)


def is_exempt(record: RegisterRecord) -> bool:
    """Whether a register entry is one of III."""
    return record.processing is not None and record.processing.is_exempt
