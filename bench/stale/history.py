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


@dataclass(frozen=True, slots=True)
class Asked:
    """One decision: whom and what it was about, with which key, at which replica, and whether it was a permit."""

    subject: str
    processing: str
    key: str
    replica: int
    start: float
    end: float
    permitted: bool


@dataclass(frozen=True, slots=True)
class Written:
    """One write that narrows or widens; None in a scope means all of it.

    `family`: what it is about; a grant lifts what narrowed a consent, a resumption a suspension, nothing a revocation.
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
        """Whether it is about what was asked."""
        return (
            self.subject in {None, asked.subject}
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
class Verdict:
    """What a history shows; verdicts add up."""

    decisions: int = 0
    permits: int = 0
    narrowings: int = 0
    races: int = 0
    permits_before_answer: int = 0
    stale: list[Stale] = field(default_factory=list)
    by_kind: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Verdict") -> None:
        """Add another history's."""
        self.decisions += other.decisions
        self.permits += other.permits
        self.narrowings += other.narrowings
        self.races += other.races
        self.permits_before_answer += other.permits_before_answer
        self.stale += other.stale
        for kind, number in other.by_kind.items():
            self.by_kind[kind] = self.by_kind.get(kind, 0) + number

    def proves_something(self, *, races: int, permits_before_answer: int) -> bool:
        """Whether enough narrowing writes met a decision on the way; a run without races proves nothing."""
        return self.races >= races and self.permits_before_answer >= permits_before_answer


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
        if write.end is None or write.end >= permit.start or not write.covers(permit):
            continue
        if not any(_lifts(each, write, permit) for each in widening):
            return write
    return None


def _lifts(widening: Written, narrowing: Written, permit: Asked) -> bool:
    """Whether a widening write could have come after a narrowing one, and before a permit's end."""
    if widening.family != narrowing.family or not widening.covers(permit):
        return False
    ended_before = widening.end is not None and widening.end < narrowing.start
    return not ended_before and widening.start <= permit.end


def _count_race(verdict: Verdict, write: Written, asked: Sequence[Asked]) -> None:
    assert write.end is not None
    met = [each for each in asked if each.start < write.end and each.end > write.start and write.covers(each)]
    verdict.narrowings += 1
    verdict.by_kind[write.kind] = verdict.by_kind.get(write.kind, 0) + 1
    verdict.races += bool(met)
    verdict.permits_before_answer += sum(each.permitted and each.start >= write.start for each in met)
