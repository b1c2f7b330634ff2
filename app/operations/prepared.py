"""Decisions remembered with the very records that they rest on.

A remembered decision is used only for the same question, about the same two records (by identity: a record that
changed is another object), before the next instant at which time alone could change the answer. Questions that depend
on other parties are never remembered.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from app.core.article import Channel, Element
from app.core.decision import Decision
from app.snapshot.cache import RecordCache
from app.snapshot.records import RegisterRecord, SubjectRecord

_REMEMBERED: Final = 20_000


class Shape(NamedTuple):
    """Everything of a question that its answer can depend on, but for the participants."""

    subject: bytes
    processing: str
    elements: frozenset[Element] | None
    automated: bool
    channel: Channel
    private: bool
    territory: str


@dataclass(slots=True, eq=False)
class Prepared:
    """A decision, the records that it rests on, and the epoch time until which it stands while they do.

    `wire` is for whoever words answers: a place to keep the worded form.
    """

    subject: SubjectRecord | None
    register: RegisterRecord
    until: float
    decision: Decision
    wire: tuple[bytes, bytes] | None = None


class PreparedDecisions:
    """A bounded memory of decisions."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._held: RecordCache[Shape, Prepared] = RecordCache(_REMEMBERED)

    def get(self, shape: Shape, subject: SubjectRecord | None, register: RegisterRecord, now: float) -> Prepared | None:
        """The decision on this question, if it was taken on these very records and time has not changed it."""
        found = self._held.get(shape)
        if found is None or found.subject is not subject or found.register is not register or now >= found.until:
            return None
        return found

    def keep(self, shape: Shape, prepared: Prepared) -> None:
        """Remember a decision."""
        self._held.put(shape, prepared)
