"""What a golden file says, as values: a register, and cases of events, a request and the decision expected.

Each value keeps the words of the file (subject ids, evidence) beside the core's own values, so that the same cases
can be replayed elsewhere, such as through the HTTP API.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.core.case import Consents
from app.core.consent import ConsentEvent
from app.core.decision import DecisionRequest
from app.core.period import PeriodPolicy
from app.core.processing import Processing


@dataclass(frozen=True, slots=True)
class GoldenEvent:
    """One event of a case. `evidence` and `capacity` hold what the file says, and nothing for what it leaves out."""

    subject_id: str
    event: ConsentEvent
    evidence: Mapping[str, str | bool]
    capacity: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GoldenRequest:
    """The question of a case and the instant it is judged at; `participant_ids` stand in the request's order."""

    subject_id: str
    participant_ids: tuple[str, ...]
    request: DecisionRequest
    at: datetime


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a case expects of the decision: any of `decision`, `reason`, `article` and `valid_until`.

    Only what the file names is compared. None means that the decision must not carry it.
    """

    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """One golden case; `line` is where it begins in its file. Events stand in ledger order.

    `shared`: the ids that are mailboxes of several people.
    """

    name: str
    line: int
    events: tuple[GoldenEvent, ...]
    request: GoldenRequest
    expect: Expectation
    shared: frozenset[str]

    @property
    def consents(self) -> Consents:
        """The events by subject, as the core takes them."""
        by_subject: dict[bytes, list[ConsentEvent]] = {}
        for each in self.events:
            by_subject.setdefault(ref_of(each.subject_id), []).append(each.event)
        return by_subject


@dataclass(frozen=True, slots=True)
class GoldenFile:
    """A file of cases that share one register and one way of counting periods."""

    path: Path
    processings: Mapping[str, Processing]
    cases: Sequence[GoldenCase]
    policy: PeriodPolicy


def ref_of(subject_id: str) -> bytes:
    """The subject_ref that stands for an id within a file: there is no key here, and nobody to hide."""
    return subject_id.encode()
