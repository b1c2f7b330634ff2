"""The check itself: which permits it finds stale, and what it counts as a race."""

import pytest

from bench.stale.history import CONSENT, KEY, STATUS, Asked, History, Written


def asked(start, end, *, permitted=True, subject="alice", processing="ads", key="k"):
    """A decision."""
    return Asked(subject, processing, key, 0, start, end, permitted)


def withdrawn(start, end, **scope):
    """A withdrawal of alice's, unless said otherwise."""
    return Written("withdrawn", CONSENT, True, start, end, **{"subject": "alice", "processing": "ads", **scope})


def granted(start, end):
    """A grant of alice's."""
    return Written("granted", CONSENT, False, start, end, "alice", "ads")


def stale(asked, *written):
    """How many permits of one history are stale."""
    return len(History([asked], list(written)).judge().stale)


def test_a_permit_that_begins_after_the_answer_is_stale():
    """That is the promise."""
    assert stale(asked(3, 4), granted(0, 0.5), withdrawn(1, 2)) == 1


@pytest.mark.parametrize("times", [(1.5, 1.8), (1.5, 9), (0, 9)])
def test_a_permit_that_begins_before_the_answer_is_not(times):
    """Whatever it overlaps: the withdrawal was not answered yet."""
    assert stale(asked(*times), granted(0, 0.5), withdrawn(1, 2)) == 0


def test_a_denial_is_never_stale():
    """Denying is always allowed."""
    assert stale(asked(3, 4, permitted=False), withdrawn(1, 2)) == 0


def test_the_next_grant_ends_what_a_withdrawal_forbids_when_it_is_sent():
    """From then on a permit may rest on it; a grant that was answered before the withdrawal lifts nothing."""
    assert stale(asked(3, 6), withdrawn(1, 2), granted(5, 7)) == 0
    assert stale(asked(3, 4), withdrawn(1, 2), granted(5, 7)) == 1


def test_a_write_that_was_not_answered_forbids_nothing_and_may_have_granted():
    """Nobody knows whether it was done."""
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
    """A grant does not, and nothing lifts a revocation."""
    suspended = Written("suspended", STATUS, True, 1, 2, processing="ads")
    assert stale(asked(5, 6), suspended, granted(3, 4)) == 1
    assert stale(asked(5, 6), suspended, Written("resumed", STATUS, False, 3, 4, processing="ads")) == 0


def test_races_are_counted():
    """A narrowing write that met a decision on the same thing, and the permits asked for while it was under way."""
    history = History([asked(0, 1.5), asked(1.6, 1.7), asked(1.6, 1.7, subject="bob"), asked(3, 4)], [withdrawn(1, 2)])
    verdict = history.judge()
    assert (verdict.races, verdict.permits_before_answer) == (1, 1)
    assert not verdict.proves_something(races=2, permits_before_answer=0)
