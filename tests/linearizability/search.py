"""Whether calls that overlapped can have taken effect one after the other, each between its start and its end.

The search is that of Wing and Gong (1993) with the memory of Lowe (2017): a configuration, the set of calls that have
taken effect and the state that they led to, is tried once. Pure: values in, verdict out.
"""

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

State = TypeVar("State", bound=Hashable)
_NEVER: Final = float("inf")


class Act(Protocol[State]):
    """What a call did, or told."""

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""

    def states_after(self, state: State) -> Collection[State]:
        """The states that it can lead to; none where a call with that outcome cannot have come in this state."""


@dataclass(frozen=True, slots=True)
class Call(Generic[State]):
    """One call: when it was sent and answered, in seconds of one clock.

    `end` is None where the outcome is not known: it may have taken effect at any time after its start, or never.
    """

    act: Act[State]
    start: float
    end: float | None


@dataclass(frozen=True, slots=True)
class Verdict(Generic[State]):
    """Whether there is an order; the longest part of one that was found, and the calls that fit nowhere after it."""

    linearizable: bool
    order: Sequence[Call[State]]
    stuck: Sequence[Call[State]] = ()


@dataclass(slots=True)
class _Configuration(Generic[State]):
    """Which calls have taken effect, in that order, and the state after them; `waiting`: what is still to be tried."""

    done: int
    state: State
    order: tuple[int, ...]
    waiting: list[tuple[int, State]] = field(default_factory=list)


def linearize(initial: State, calls: Sequence[Call[State]]) -> Verdict[State]:
    """Look for an order of calls that explains every outcome.

    Args:
        initial: the state before the first call.
        calls: all calls on one object, in any order; a read whose outcome is not known is left out.

    """
    history = sorted(
        (call for call in calls if call.end is not None or not call.act.reads), key=lambda call: call.start
    )
    wanted = sum(1 << number for number, call in enumerate(history) if call.end is not None)
    first = _Configuration(0, initial, ())
    seen: set[tuple[int, State]] = {(0, initial)}
    path, longest = [first], first
    _find_next(first, history)
    while path:
        here = path[-1]
        if wanted & ~here.done == 0:
            return Verdict(linearizable=True, order=[history[number] for number in here.order])
        if len(here.order) > len(longest.order):
            longest = here
        if not here.waiting:
            path.pop()
            continue
        number, state = here.waiting.pop()
        done = here.done | 1 << number
        if (done, state) not in seen:
            seen.add((done, state))
            following = _Configuration(done, state, (*here.order, number))
            _find_next(following, history)
            path.append(following)
    stuck = [history[number] for number in _possible(longest.done, history)]
    return Verdict(linearizable=False, order=[history[number] for number in longest.order], stuck=stuck)


def _find_next(here: _Configuration[State], history: Sequence[Call[State]]) -> None:
    """Note which calls may come next. A read that fits now may as well come now: it changes nothing for the others."""
    for number in _possible(here.done, history):
        for state in history[number].act.states_after(here.state):
            if history[number].act.reads:
                here.waiting = [(number, state)]
                return
            here.waiting.append((number, state))
    here.waiting.reverse()  # the one that was sent first is tried first


def _possible(done: int, history: Sequence[Call[State]]) -> list[int]:
    """The calls that have not taken effect, and that began before any of these had ended."""
    possible: list[int] = []
    earliest_end = _NEVER
    for number, call in enumerate(history):
        if call.start > earliest_end:
            break
        if not done >> number & 1:
            possible.append(number)
            earliest_end = min(earliest_end, _NEVER if call.end is None else call.end)
    return possible
