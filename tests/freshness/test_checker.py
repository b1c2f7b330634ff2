"""The check itself: which permits it finds stale, and what it counts as a race."""

from collections import Counter

import pytest

from bench.stale.history import CONSENT, KEY, SCOPE, STATUS, Asked, History, Written
from tests.freshness import ways


def asked(start, end, *, permitted=True, **about):
    """A decision."""
    facts = {"subject": "alice", "processing": "ads", "key": "k", "replica": 0, **about}
    return Asked(start=start, end=end, permitted=permitted, **facts)


def withdrawn(start, end, **scope):
    """A withdrawal of alice's, unless said otherwise."""
    return Written("withdrawn", CONSENT, True, start, end, **{"subject": "alice", "processing": "ads", **scope})


def granted(start, end, subject="alice"):
    """A grant of alice's, unless said otherwise."""
    return Written("granted", CONSENT, False, start, end, subject, "ads")


def stale(decision, *written):
    """How many permits of one history are stale."""
    return len(History([decision], list(written)).judge().stale)


def test_a_permit_that_begins_after_the_answer_is_stale():
    """A permit is stale if its decision was asked for after a withdrawal was answered."""
    assert stale(asked(3, 4), granted(0, 0.5), withdrawn(1, 2)) == 1


@pytest.mark.parametrize("times", [(1.5, 1.8), (1.5, 9), (0, 9)])
def test_a_permit_that_begins_before_the_answer_is_not(times):
    """A permit is not stale if its decision was asked for before the withdrawal was answered, even if they overlap."""
    assert stale(asked(*times), granted(0, 0.5), withdrawn(1, 2)) == 0


def test_a_denial_is_never_stale():
    """Denying is always allowed."""
    assert stale(asked(3, 4, permitted=False), withdrawn(1, 2)) == 0


def test_the_next_grant_ends_what_a_withdrawal_forbids_when_it_is_sent():
    """A permit may rest on a grant that was sent before the decision ended, and not on one that was sent later."""
    assert stale(asked(3, 6), withdrawn(1, 2), granted(5, 7)) == 0
    assert stale(asked(3, 4), withdrawn(1, 2), granted(5, 7)) == 1


def test_a_write_that_was_not_answered_forbids_nothing_and_may_have_granted():
    """A withdrawal without an answer makes no permit stale; a grant without an answer may justify a later permit."""
    assert stale(asked(3, 4), withdrawn(1, None)) == 0
    assert stale(asked(8, 9), granted(0, None), withdrawn(1, 2)) == 0


def test_a_scope_that_is_left_out_is_everything():
    """A closure binds every processing, a suspension every subject, a revocation every question of a key."""
    closed = Written("closed", CONSENT, True, 1, 2, subject="alice")
    suspended = Written("suspended", STATUS, True, 1, 2, processing="ads")
    revoked = Written("revoked key", KEY, True, 1, 2, key="k")
    for write in (closed, suspended, revoked):
        assert stale(asked(3, 4), write) == 1
    assert stale(asked(3, 4, subject="bob"), closed) == 0
    assert stale(asked(3, 4, processing="other"), suspended) == 0
    assert stale(asked(3, 4, key="another"), revoked) == 0


def test_only_a_resumption_lifts_a_suspension():
    """A resumption lifts a suspension, and a grant does not."""
    suspended = Written("suspended", STATUS, True, 1, 2, processing="ads")
    assert stale(asked(5, 6), suspended, granted(3, 4)) == 1
    assert stale(asked(5, 6), suspended, Written("resumed", STATUS, False, 3, 4, processing="ads")) == 0


def test_a_party_that_withdrew_forbids_what_is_about_another():
    """A withdrawal by one of two parties makes a permit about both stale until that party grants again."""
    of_both = asked(5, 6, others=("bob",))
    assert stale(of_both, withdrawn(1, 2, subject="bob")) == 1
    assert stale(of_both, withdrawn(1, 2, subject="bob"), granted(3, 4)) == 1
    assert stale(of_both, withdrawn(1, 2, subject="bob"), granted(3, 4, "bob")) == 0
    assert stale(asked(5, 6), withdrawn(1, 2, subject="bob")) == 0


def test_what_binds_everybody_is_lifted_for_each_by_a_grant_of_their_own():
    """After a material version, a permit about two parties is stale until both of them have granted again."""
    version = Written("material version", CONSENT, True, 1, 2, processing="ads")
    assert stale(asked(5, 6, others=("bob",)), version, granted(3, 4)) == 1
    assert stale(asked(5, 6, others=("bob",)), version, granted(3, 4), granted(3, 4, "bob")) == 0


def test_a_caller_that_was_narrowed_may_be_widened_again():
    """A widening lifts the narrowing of a caller, which a grant does not; it does not lift the rotation of a key."""
    narrowed = Written("narrowed caller", SCOPE, True, 1, 2, key="k")
    widened = Written("widened caller", SCOPE, False, 3, 4, key="k")
    assert stale(asked(5, 6), narrowed, granted(3, 4)) == 1
    assert stale(asked(5, 6), narrowed, widened) == 0
    assert stale(asked(5, 6), Written("rotated key", KEY, True, 1, 2, key="k"), widened) == 1


def test_races_are_counted():
    """The verdict counts a withdrawal that met a decision on the same consent, and the permits asked for meanwhile."""
    history = History([asked(0, 1.5), asked(1.6, 1.7), asked(1.6, 1.7, subject="bob"), asked(3, 4)], [withdrawn(1, 2)])
    verdict = history.judge()
    every = verdict.every_kind()
    assert (every.written, every.raced, every.permits) == (1, 1, 1)
    assert verdict.proves_something(withdrawals=1, permits=1)
    assert not verdict.proves_something(withdrawals=2, permits=0)


def test_only_withdrawals_that_raced_prove_something():
    """A suspension that met a decision is counted as a race, but not as a withdrawal that proves something."""
    suspended = Written("suspended", STATUS, True, 1, 2, processing="ads")
    verdict = History([asked(1.6, 1.7)], [suspended]).judge()
    assert verdict.every_kind().raced == 1
    assert not verdict.proves_something(withdrawals=1, permits=0)


def test_a_way_that_nobody_was_answered_by_is_named():
    """`not_taken` names each way by which no decision was answered."""
    taken = Counter(dict.fromkeys(ways.LEASED, 1))
    assert ways.not_taken(taken, ways.LEASED) == []
    taken[ways.MISSED] = 0
    assert ways.not_taken(taken, ways.LEASED) == [ways.MISSED]
