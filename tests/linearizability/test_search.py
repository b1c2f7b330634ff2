"""The search finds an order wherever there is one, and none where there is none."""

import itertools
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from tests.linearizability.search import Call, linearize


@dataclass(frozen=True)
class Write:
    """A register is set."""

    value: int
    reads = False

    def states_after(self, _):
        """The value, whatever it was."""
        return (self.value,)


@dataclass(frozen=True)
class Read:
    """A register was read."""

    value: int
    reads = True

    def states_after(self, state):
        """The same, where it is what was read."""
        return (state,) if state == self.value else ()


def _holds(*calls):
    return linearize(0, [Call(*each) for each in calls]).linearizable


def test_nothing_is_linearizable():
    """A history without calls has an order."""
    assert _holds()


def test_a_read_sees_the_write_before_it():
    """A read that began after a write was answered tells what was written, and nothing older."""
    assert _holds((Write(1), 0, 1), (Read(1), 2, 3))
    assert not _holds((Write(1), 0, 1), (Read(0), 2, 3))


def test_a_read_beside_a_write_sees_either():
    """A read that overlaps a write tells the value before or after it."""
    assert _holds((Write(1), 0, 3), (Read(0), 1, 2))
    assert _holds((Write(1), 0, 3), (Read(1), 1, 2))


def test_a_value_that_was_seen_stays_seen():
    """Of two reads that overlap a write, the later one does not tell the older value."""
    assert not _holds((Write(1), 0, 9), (Read(1), 1, 2), (Read(0), 3, 4))


def test_an_unknown_write_may_have_happened_late_early_or_never():
    """A write without an outcome explains either value after its start, and none before it."""
    assert _holds((Write(1), 0, None), (Read(0), 1, 2), (Read(0), 3, 4))
    assert _holds((Write(1), 0, None), (Read(0), 1, 2), (Read(1), 3, 4))
    assert not _holds((Write(1), 0, None), (Read(1), 1, 2), (Read(0), 3, 4))
    assert not _holds((Read(1), 0, 1), (Write(1), 2, None))


def test_a_verdict_says_where_it_was_stuck():
    """Without an order, the calls that fit nowhere are told."""
    wrong = Call(Read(0), 2, 3)
    verdict = linearize(0, [Call(Write(1), 0, 1), wrong])
    assert list(verdict.stuck) == [wrong]


def test_two_writes_at_once_may_come_in_either_order():
    """Writes that overlap are ordered by what was read after them, and only once."""
    writes = ((Write(1), 0, 5), (Write(2), 0, 5))
    assert _holds(*writes, (Read(1), 6, 7), (Read(1), 8, 9))
    assert _holds(*writes, (Read(2), 6, 7))
    assert not _holds(*writes, (Read(1), 6, 7), (Read(2), 8, 9))


def _by_trying_all(calls):
    """Every order of every choice of the unknown calls: slow, and plainly right."""
    sure = [call for call in calls if call.end is not None]
    unknown = [call for call in calls if call.end is None and not call.act.reads]
    for count in range(len(unknown) + 1):
        for chosen in itertools.combinations(unknown, count):
            if any(_explains(order) for order in itertools.permutations([*sure, *chosen])):
                return True
    return False


def _explains(order):
    state = 0
    for place, call in enumerate(order):
        after = call.act.states_after(state)
        if not after or any(later.end is not None and later.end < call.start for later in order[place + 1 :]):
            return False
        (state,) = after
    return True


_acts = st.one_of(st.integers(0, 2).map(Write), st.integers(0, 2).map(Read))
_calls = st.builds(
    lambda act, start, length: Call(act, start, None if length is None else start + length),
    _acts,
    st.integers(0, 8),
    st.one_of(st.none(), st.integers(1, 4)),
)


@given(st.lists(_calls, max_size=6))
def test_it_agrees_with_trying_every_order(calls):
    """The search gives the verdict of a check that tries every order."""
    assert linearize(0, calls).linearizable == _by_trying_all(calls)
