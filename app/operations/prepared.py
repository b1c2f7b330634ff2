"""Decisions remembered with the very records that they rest on.

A remembered decision is used only for an equal question (every part of it: `Request` compares them all), about the same
records (by identity: a record that changed is another object), before the next instant at which time alone could change
the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.core.decision import Decision, Request
from app.snapshot.cache import RecordCache
from app.snapshot.records import RegisterRecord, SubjectRecord

_REMEMBERED: Final = 20_000


@dataclass(slots=True, eq=False)
class Prepared:
    """A decision, the records that it rests on, and the epoch time until which it stands while they do.

    `wire` is for whoever words answers: a place to keep the worded form.
    """

    register: RegisterRecord
    records: tuple[SubjectRecord, ...]
    until: float
    decision: Decision
    wire: tuple[bytes, bytes] | None = None


class PreparedDecisions:
    """A bounded memory of decisions."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._held: RecordCache[Request, Prepared] = RecordCache(_REMEMBERED)

    def get(
        self, request: Request, register: RegisterRecord, records: Sequence[SubjectRecord], now: float
    ) -> Prepared | None:
        """The decision on this question, if it was taken on these very records and time has not changed it."""
        found = self._held.get(request)
        if found is None or found.register is not register or now >= found.until:
            return None
        if len(found.records) != len(records):
            return None
        for index, record in enumerate(records):
            if found.records[index] is not record:
                return None
        return found

    def keep(self, request: Request, prepared: Prepared) -> None:
        """Remember a decision."""
        self._held.put(request, prepared)
