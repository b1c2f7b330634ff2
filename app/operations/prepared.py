"""Decisions remembered with the very records that they rest on.

A remembered decision is used only for an equal question (its shape, its subject, and the other parties where their
consents are asked for), about the same records (by identity: a record that changed is another object), before the next
instant at which time alone could change the answer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.core.article import Channel, Element
from app.core.decision import Decision, Participant, Request
from app.snapshot.cache import RecordCache
from app.snapshot.records import RegisterRecord, SubjectRecord

_REMEMBERED: Final = 60_000
"""How many decisions are remembered: of about a kilobyte each, beside the records that they rest on."""
_FEW_PARTIES: Final = 4
_CROWDED: Final = 1_000
"""How many decisions are remembered that name more other parties than that: each is many times as heavy."""


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What is the same in most questions of a caller: all of a question but whom it is about. Equal by identity."""

    processing: str
    elements: frozenset[Element] | None
    automated: bool
    channel: Channel
    private: bool
    territory: str


class Question:
    """A question as it was read: its shape, the subject's pseudonym, and the correspondence's type and id.

    `others` makes the other parties' pseudonyms, which few processings want; None when the question does not say.
    """

    __slots__ = ("correspondence", "kind", "others", "shape", "subject")

    def __init__(
        self,
        shape: Shape,
        subject: bytes,
        others: Callable[[], tuple[Participant, ...]] | None,
        kind: str,
        correspondence: str,
    ) -> None:
        self.shape = shape
        self.subject = subject
        self.others = others
        self.kind = kind
        self.correspondence = correspondence

    def request(self, participants: tuple[Participant, ...] | None) -> Request:
        """The question as the core takes it."""
        shape = self.shape
        return Request(
            self.subject,
            shape.processing,
            shape.elements,
            shape.automated,
            shape.channel,
            shape.private,
            shape.territory,
            participants,
        )


@dataclass(slots=True, eq=False)
class Prepared:
    """A decision, the records that it rests on, and the epoch time until which it stands while they do.

    `wire`, `outcome` and `facts` are for whoever words, counts and logs answers: places to keep what they made of it.
    """

    register: RegisterRecord
    records: tuple[SubjectRecord, ...]
    until: float
    decision: Decision
    wire: tuple[bytes, bytes] | None = None
    outcome: tuple[bool, str] | None = None
    facts: bytes | None = None


Key = tuple[Shape, bytes] | tuple[Shape, bytes, tuple[Participant, ...] | None]


class PreparedDecisions:
    """A bounded memory of decisions: fewer of those that name many other parties."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._held: RecordCache[Key, Prepared] = RecordCache(_REMEMBERED)
        self._crowded: RecordCache[Key, Prepared] = RecordCache(_CROWDED)

    def get(
        self, key: Key, register: RegisterRecord, records: tuple[SubjectRecord, ...], now: float
    ) -> Prepared | None:
        """The decision on this question, if it was taken on these very records and time has not changed it."""
        found = self._held.get(key) or self._crowded.get(key)
        if found is None or found.register is not register or now >= found.until or found.records != records:
            return None  # records are equal only to themselves
        return found

    def keep(self, key: Key, prepared: Prepared) -> None:
        """Remember a decision."""
        others = key[2] if len(key) == 3 else None  # noqa: PLR2004 - the longer of the two keys
        cache = self._crowded if others is not None and len(others) > _FEW_PARTIES else self._held
        cache.put(key, prepared)
