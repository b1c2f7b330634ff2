"""What was asked and written, with start and end times of one clock; and the permits in it that nothing can excuse.

Pure: values in, verdict out. A permit is stale when its call began after a narrowing write on the same thing had been
answered, and ended before any widening write was sent that could have made it right again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

CONSENT: Final = "consent"
STATUS: Final = "status"
KEY: Final = "key"
SCOPE: Final = "scope"
WITHDRAWN: Final = "withdrawn"


@dataclass(frozen=True, slots=True)
class Asked:
    """One decision: whom and what it was about, with which key, at which replica, and whether it was a permit.

    `others` are the parties whose consent it needs as well.
    """

    subject: str
    processing: str
    key: str
    replica: int
    start: float
    end: float
    permitted: bool
    others: tuple[str, ...] = ()

    @property
    def parties(self) -> tuple[str, ...]:
        """All whose consent it needs."""
        return (self.subject, *self.others)


@dataclass(frozen=True, slots=True)
class Written:
    """One write that narrows or widens; None in a scope means all of it.

    `family`: what it is about; a grant lifts what narrowed a consent, a resumption a suspension, a caller's widening
    its narrowing, nothing the end of a key.
    `end` is None when nobody knows whether it was done: it then binds nobody, and may have widened at any time.
    """

    kind: str
    family: str
    narrows: bool
    start: float = 0.0
    end: float | None = None
    subject: str | None = None
    processing: str | None = None
    key: str | None = None

    def covers(self, asked: Asked) -> bool:
        """Whether it is about what was asked, for any of the parties."""
        return any(self.binds(party, asked) for party in asked.parties)

    def binds(self, party: str, asked: Asked) -> bool:
        """Whether it is about what was asked, as far as one party is concerned."""
        return (
            self.subject in {None, party}
            and self.processing in {None, asked.processing}
            and self.key in {None, asked.key}
        )


@dataclass(frozen=True, slots=True)
class Stale:
    """A permit that should not have been, and the write that forbade it."""

    permit: Asked
    forbidden: Written

    def __str__(self) -> str:
        """One line."""
        late = (self.permit.start - (self.forbidden.end or 0)) * 1000
        return f"{self.permit} began {late:.1f} ms after the answer to {self.forbidden}"


@dataclass(slots=True)
class Kind:
    """The narrowing writes of one kind: how many, those that a decision raced, and permits asked for on their way."""

    written: int = 0
    raced: int = 0
    permits: int = 0

    def add(self, other: "Kind") -> None:
        """Add others."""
        self.written += other.written
        self.raced += other.raced
        self.permits += other.permits


@dataclass(slots=True)
class Verdict:
    """What a history shows; verdicts add up."""

    decisions: int = 0
    permits: int = 0
    stale: list[Stale] = field(default_factory=list)
    by_kind: dict[str, Kind] = field(default_factory=dict)

    def add(self, other: "Verdict") -> None:
        """Add another history's."""
        self.decisions += other.decisions
        self.permits += other.permits
        self.stale += other.stale
        for kind, found in other.by_kind.items():
            self.kind(kind).add(found)

    def kind(self, name: str) -> Kind:
        """The writes of a kind."""
        return self.by_kind.setdefault(name, Kind())

    def every_kind(self) -> Kind:
        """All narrowing writes."""
        total = Kind()
        for found in self.by_kind.values():
            total.add(found)
        return total

    def proves_something(self, *, withdrawals: int, permits: int) -> bool:
        """Whether enough withdrawals met a decision on the way; a run without races proves nothing.

        Args:
            withdrawals: how many at least must have raced a decision on the same subject.
            permits: how many at least must have been asked for while such a one was under way.

        """
        found = self.kind(WITHDRAWN)
        return found.raced >= withdrawals and found.permits >= permits


@dataclass(slots=True)
class History:
    """What happened to some subjects: the unit that is judged at once."""

    asked: list[Asked] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)

    def judge(self) -> Verdict:
        """Look at every permit and every narrowing write."""
        narrowing = [write for write in self.written if write.narrows and write.end is not None]
        widening = [write for write in self.written if not write.narrows]
        verdict = Verdict(decisions=len(self.asked), permits=sum(each.permitted for each in self.asked))
        for write in narrowing:
            _count_race(verdict, write, self.asked)
        for permit in (each for each in self.asked if each.permitted):
            forbidden = _forbidden_by(permit, narrowing, widening)
            if forbidden is not None:
                verdict.stale.append(Stale(permit, forbidden))
        return verdict


def _forbidden_by(permit: Asked, narrowing: Sequence[Written], widening: Sequence[Written]) -> Written | None:
    for write in narrowing:
        if write.end is None or write.end >= permit.start:
            continue
        for party in permit.parties:
            if write.binds(party, permit) and not any(_lifts(each, write, permit, party) for each in widening):
                return write
    return None


def _lifts(widening: Written, narrowing: Written, permit: Asked, party: str) -> bool:
    """Whether a widening write could have come after a narrowing one, and before a permit's end, for one party."""
    if widening.family != narrowing.family or not widening.binds(party, permit):
        return False
    ended_before = widening.end is not None and widening.end < narrowing.start
    return not ended_before and widening.start <= permit.end


def _count_race(verdict: Verdict, write: Written, asked: Sequence[Asked]) -> None:
    assert write.end is not None
    met = [each for each in asked if each.start < write.end and each.end > write.start and write.covers(each)]
    found = verdict.kind(write.kind)
    found.written += 1
    found.raced += bool(met)
    found.permits += sum(each.permitted and each.start >= write.start for each in met)
