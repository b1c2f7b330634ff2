"""One user, one processing and one key as a sequential object: what may be answered after what was done.

This is the specification that a history is held against (`tests.linearizability.search`); it knows nothing of caches,
servers or failovers. Where the service decides by the time of collection (a grant that was collected before a
withdrawal does not revive what the withdrawal ended), so does this.

It departs from one object in one thing, which docs/freshness.md states: a write that widens (a grant, a resumption) is
answered before every worker knows of it. Until a lease has passed since, a denial is right as well; a permit never is
where the facts deny.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

LEASE: Final = 2.0
"""Seconds: the longest that a worker decides from memory without having heard of everything that was committed."""
_NOBODY_KNOWS: Final = float("inf")


class Answer(Enum):
    """What a question was answered."""

    PERMIT = "permit"
    DENY = "deny"
    NOT_IN_FORCE = "the key is not in force"


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision rests on.

    `granted`: the version that the user consented to, while that consent stands. `narrowed`: start and end of the last
    call that ended consents (an end of infinity: nobody knows), which a grant collected before it does not undo.
    `widened`: when the last call was answered that made a permit possible.
    """

    granted: int | None = None
    narrowed: tuple[float, float] | None = None
    widened: float = -_NOBODY_KNOWS
    material: int = 1
    suspended: bool = False
    revoked: bool = False

    @property
    def permits(self) -> bool:
        """Whether a question with a key in force is a permit."""
        return not self.suspended and self.granted is not None and self.granted >= self.material


NOTHING: Final = Facts()
"""A processing that was registered, a user who said nothing, a key in force."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A consent to a version, collected at an instant (same clock as the calls), with the end of its call."""

    version: int
    collected: float
    end: float = _NOBODY_KNOWS
    reads = False

    def states_after(self, state: Facts) -> Collection[Facts]:
        """It stands, unless the user's last withdrawal, refusal or closure counts as later."""
        stands, falls = replace(state, granted=self.version, widened=self.end), state
        if state.narrowed is None or state.narrowed[1] < self.collected:
            return (stands,)
        return (falls,) if state.narrowed[0] >= self.collected else (stands, falls)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A refusal, a withdrawal or a closure, with start and end of its call."""

    start: float
    end: float = _NOBODY_KNOWS
    reads = False

    def states_after(self, state: Facts) -> Collection[Facts]:
        """No consent stands."""
        return (replace(state, granted=None, narrowed=(self.start, self.end)),)


@dataclass(frozen=True, slots=True)
class MaterialVersion:
    """A version of the processing that consents to earlier ones do not cover."""

    number: int
    reads = False

    def states_after(self, state: Facts) -> Collection[Facts]:
        """Consents to earlier versions permit no more."""
        return (replace(state, material=max(state.material, self.number)),)


@dataclass(frozen=True, slots=True)
class Suspended:
    """The processing is suspended."""

    reads = False

    def states_after(self, state: Facts) -> Collection[Facts]:
        """Nothing is permitted while it is suspended."""
        return (replace(state, suspended=True),)


@dataclass(frozen=True, slots=True)
class Resumed:
    """The processing is resumed, with the end of its call."""

    end: float = _NOBODY_KNOWS
    reads = False

    def states_after(self, state: Facts) -> Collection[Facts]:
        """What was permitted before is permitted again."""
        return (replace(state, suspended=False, widened=self.end),)


@dataclass(frozen=True, slots=True)
class Revoked:
    """The key is revoked."""

    reads = False

    def states_after(self, state: Facts) -> Collection[Facts]:
        """It is never in force again."""
        return (replace(state, revoked=True),)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, with the key that may be revoked or with another one; its answer, and the start of its call."""

    answer: Answer
    start: float
    revocable: bool = False
    reads = True

    def states_after(self, state: Facts) -> Collection[Facts]:
        """The same, where this is the answer that the facts give."""
        right = {Answer.PERMIT if state.permits else Answer.DENY}
        if self.start <= state.widened + LEASE:
            right.add(Answer.DENY)
        if self.revocable and state.revoked:
            right = {Answer.NOT_IN_FORCE}
        return (state,) if self.answer in right else ()
