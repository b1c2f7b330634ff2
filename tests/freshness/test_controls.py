"""Each mechanism of the protocol (docs/freshness.md), on and off: off, the same interleaving gives a stale permit."""

from dataclasses import dataclass

import pytest

from app.snapshot.feed import Pace
from tests.freshness import clocks, leaves, scenarios
from tests.freshness.mutants import feed, memory, writes
from tests.freshness.sites import LONG, MIDDLE, SELDOM, SHORT, play
from tests.support.databases import new_database

pytestmark = pytest.mark.deep
TRIES = 10
"""A busy machine may let a mutant's short lease end before its stale permit was seen; never the other way round."""


@dataclass(frozen=True)
class Control:
    """A mechanism: the interleaving that needs it, what switches it off, and the pace of both, on which that shows."""

    name: str
    scenario: object
    mutant: object = None
    pace: Pace = LONG
    off: object = None


CONTROLS = [
    Control("no invalidation", scenarios.both_up, feed.no_invalidation),
    Control("no lease", scenarios.silent_feed, memory.no_lease, SHORT),
    Control("lease counted from the answer", scenarios.late_answer, memory.lease_from_the_answer, SHORT),
    Control("lease extended before the drops", scenarios.return_of_the_feed, feed.lease_before_drops, SHORT),
    Control("look-up before the lease check", scenarios.return_during_a_look, memory.look_before_lease, SHORT),
    Control("flight not marked stale", scenarios.overtaken_read, memory.flight_not_marked),
    Control("joining a stale flight", scenarios.second_look_for_a_caller, memory.joining_stale_flight),
    Control("not cleared on registration", scenarios.cut_and_reborn, feed.not_cleared_on_registration, SHORT),
    Control("lease before registration", scenarios.just_starting, feed.lease_before_registration),
    Control("beat publishing ahead", scenarios.news_on_the_way, feed.publishing_ahead, MIDDLE),
    Control("peek forgets nothing", scenarios.both_up, feed.peek_forgets_nothing),
    Control("acknowledged before forgetting", scenarios.peek_on_the_way, feed.acknowledged_before_forgetting),
    Control(
        "acknowledgement unread", scenarios.acknowledgement_of_another_write, writes.acknowledgement_unread, MIDDLE
    ),
    Control("peek earns a lease", scenarios.taken_away_between_beats, feed.peek_earns_a_lease, SELDOM),
    Control("cursor taken after the read", scenarios.commit_during_a_beat, feed.cursor_after_read),
    Control("sequence number as cursor", scenarios.ids_out_of_order, feed.sequence_number),
    Control("feed in one frozen transaction", scenarios.both_up, feed.frozen_transaction, SHORT),
    Control("own cache not dropped", scenarios.own_memory, memory.own_not_dropped),
    Control(
        "own cache dropped before the commit",
        scenarios.own_memory_before_the_commit,
        writes.own_dropped_before_commit,
    ),
    Control("no confirmation", scenarios.silent_feed, writes.no_confirmation, MIDDLE),
    Control(
        "replicas listed before the commit", scenarios.registered_before_the_commit, writes.listed_before_commit, MIDDLE
    ),
    Control("deadline from before the commit", scenarios.long_transaction, writes.deadline_before_commit, SHORT),
    Control("repeated key answered at once", scenarios.repeated_withdrawal, writes.repeated_at_once, MIDDLE),
    Control(
        "repeated suspension answered at once", scenarios.repeated_suspension, writes.repeated_status_at_once, MIDDLE
    ),
    Control("invalidation not confirmed", scenarios.silent_feed_at_an_invalidation, writes.no_confirmation, MIDDLE),
    Control(
        "repeated invalidation answered at once",
        scenarios.repeated_invalidation,
        writes.repeated_invalidation_at_once,
        MIDDLE,
    ),
    Control(
        "own row never waited for", scenarios.repeated_at_the_same_process, writes.own_row_never_waited_for, MIDDLE
    ),
    Control("row deleted before the cache stops", scenarios.graceful_stop, feed.row_deleted_first),
    Control("one id for all incarnations", scenarios.janitor_and_the_reborn, feed.one_id_for_all_incarnations, MIDDLE),
    Control("one id for two processes", scenarios.silent_feed, feed.one_id_for_two_processes, MIDDLE),
    Control("janitor ignores the beat", scenarios.janitor_and_the_living, feed.janitor_ignores_the_beat, MIDDLE),
    Control("monotonic across a suspend", clocks.suspended_machine, off=clocks.monotonic_lease),
    Control("margin of zero with a slow clock", clocks.slow_clock, pace=SHORT, off=clocks.no_margin),
    Control("own leaves never waited for", leaves.below_the_writer, leaves.never_waited_for, MIDDLE),
    Control("acknowledged before leaves have forgotten", leaves.below_another, leaves.acknowledged_too_early, MIDDLE),
    Control("sub-lease beyond the lease", leaves.below_a_silent_feed, leaves.beyond_the_lease, MIDDLE),
    Control("registered anew before leaves are released", leaves.below_the_reborn, leaves.not_released, MIDDLE),
    Control("row deleted before leaves are released", leaves.below_one_that_stops, leaves.not_released, MIDDLE),
    Control("leaf confirms before it forgets", leaves.that_reads, pace=MIDDLE, off=leaves.that_says_so_first),
    Control("leaf takes leases first", leaves.that_takes_a_lease_late, pace=MIDDLE, off=leaves.that_takes_leases_first),
]


@pytest.fixture(scope="module")
def shared():
    """One database for all controls of a test process: each uses a subject and a processing of its own."""
    with new_database() as made:
        yield made


each_control = pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)


@each_control
def test_with_the_mechanism_no_permit_is_stale(shared, control):
    """With all mechanisms, this interleaving has no question answered with a stale permit."""
    assert not play(control.scenario, shared, control.pace)


@each_control
def test_without_the_mechanism_one_is(shared, control, monkeypatch):
    """The control: without the mechanism, the same interleaving gives a stale permit."""
    if control.mutant is not None:
        control.mutant(monkeypatch.setattr)
    assert any(play(control.off or control.scenario, shared, control.pace) for _ in range(TRIES))
