"""Decisions remembered with the very records that they rest on.

A remembered decision is used only for an equal question (its circumstances, its subject, and the other parties where
their consents are asked for), about the same records (by identity: a record that changed is another object), before
the next instant at which time alone could change the answer. So key and records determine the decision by themselves.
"""

from typing import Final

from msgspec import Struct

from app.core.decision import Participant
from app.operations.decisions.judging import Judged
from app.operations.decisions.question import Circumstances
from app.snapshot.cache import RecordCache
from app.snapshot.records import RegisterRecord, SubjectRecord

_REMEMBERED: Final = 60_000
"""How many decisions are remembered: of about a kilobyte each, beside the records that they rest on."""
_FEW_PARTIES: Final = 4
_CROWDED: Final = 1_000
"""How many decisions are remembered that name more other parties than that: each is many times as heavy."""

Key = tuple[Circumstances, bytes, tuple[Participant, ...] | None]


class Remembered(Struct, frozen=True, eq=False):
    """What was judged, the records that it rests on, and the epoch time until which it stands while they do."""

    register: RegisterRecord
    records: tuple[SubjectRecord, ...]
    until: float
    judged: Judged


class RememberedDecisions:
    """A bounded memory of decisions: fewer of those that name many other parties."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._held: RecordCache[Key, Remembered] = RecordCache(_REMEMBERED)
        self._crowded: RecordCache[Key, Remembered] = RecordCache(_CROWDED)

    def get(self, key: Key, register: RegisterRecord, records: tuple[SubjectRecord, ...], now: float) -> Judged | None:
        """What was judged of this question, if on these very records, and if time has not changed it."""
        found = self._cache_of(key).get(key)
        if found is None or found.register is not register or now >= found.until or found.records != records:
            return None  # records are equal only to themselves
        return found.judged

    def keep(self, key: Key, remembered: Remembered) -> None:
        """Remember what was judged."""
        self._cache_of(key).put(key, remembered)

    def _cache_of(self, key: Key) -> RecordCache[Key, Remembered]:
        others = key[2]
        return self._crowded if others is not None and len(others) > _FEW_PARTIES else self._held
