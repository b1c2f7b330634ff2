"""The check itself: which permits it finds stale, and what it counts as a race."""

from collections import Counter

import pytest

from bench.stale.history import CONSENT, KEY, SCOPE, STATUS, Asked, History, Written
from tests.freshness import ways


def asked(start, end, *, permitted=True, **about):
    """A decision."""
    whole = {"subject": "alice", "processing": "ads", "key": "k", "replica": 0, **about}
    return Asked(start=start, end=end, permitted=permitted, **whole)


def withdrawn(start, end, **scope):
    """A withdrawal of alice's, unless said otherwise."""
    return Written("withdrawn", CONSENT, True, start, end, **{"subject": "alice", "processing": "ads", **scope})


def granted(start, end, subject="alice"):
    """A grant of alice's, unless said otherwise."""
    return Written("granted", CONSENT, False, start, end, subject, "ads")


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


def test_a_party_that_withdrew_forbids_what_is_about_another():
    """Where every party's consent is needed; and the other's grant does not make up for it."""
    of_both = asked(5, 6, others=("bob",))
    assert stale(of_both, withdrawn(1, 2, subject="bob")) == 1
    assert stale(of_both, withdrawn(1, 2, subject="bob"), granted(3, 4)) == 1
    assert stale(of_both, withdrawn(1, 2, subject="bob"), granted(3, 4, "bob")) == 0
    assert stale(asked(5, 6), withdrawn(1, 2, subject="bob")) == 0


def test_what_binds_everybody_is_lifted_for_each_by_a_grant_of_their_own():
    """A material version, and a question that needs two consents."""
    version = Written("material version", CONSENT, True, 1, 2, processing="ads")
    assert stale(asked(5, 6, others=("bob",)), version, granted(3, 4)) == 1
    assert stale(asked(5, 6, others=("bob",)), version, granted(3, 4), granted(3, 4, "bob")) == 0


def test_a_caller_that_was_narrowed_may_be_widened_again():
    """Only a widening of the same caller lifts it; the end of a key is for good."""
    narrowed = Written("narrowed caller", SCOPE, True, 1, 2, key="k")
    widened = Written("widened caller", SCOPE, False, 3, 4, key="k")
    assert stale(asked(5, 6), narrowed, granted(3, 4)) == 1
    assert stale(asked(5, 6), narrowed, widened) == 0
    assert stale(asked(5, 6), Written("rotated key", KEY, True, 1, 2, key="k"), widened) == 1


def test_races_are_counted():
    """A narrowing write that met a decision on the same thing, and the permits asked for while it was under way."""
    history = History([asked(0, 1.5), asked(1.6, 1.7), asked(1.6, 1.7, subject="bob"), asked(3, 4)], [withdrawn(1, 2)])
    verdict = history.judge()
    every = verdict.every_kind()
    assert (every.written, every.raced, every.permits) == (1, 1, 1)
    assert verdict.proves_something(withdrawals=1, permits=1)
    assert not verdict.proves_something(withdrawals=2, permits=0)


def test_only_withdrawals_that_raced_prove_something():
    """A suspension that raced as many decisions counts for itself."""
    suspended = Written("suspended", STATUS, True, 1, 2, processing="ads")
    verdict = History([asked(1.6, 1.7)], [suspended]).judge()
    assert verdict.every_kind().raced == 1
    assert not verdict.proves_something(withdrawals=1, permits=0)


def test_a_way_that_nobody_was_answered_by_is_named():
    """So that a run which never took it does not count as one that checked it."""
    taken = Counter(dict.fromkeys(ways.LEASED, 1))
    assert ways.not_taken(taken, ways.LEASED) == []
    taken[ways.MISSED] = 0
    assert ways.not_taken(taken, ways.LEASED) == [ways.MISSED]
