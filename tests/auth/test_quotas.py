"""Quotas, and the bounds on credentials that are nobody's: values and plain numbers, no clock but the test's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.http.peers import peer_of
from app.auth.callers import Buckets, Counted, OverQuotaError, Quota, RateLimits, Scope, UnknownKeyLimiter, counted_by
from app.db.session import random_id
from app.events.addresses import parse_networks

KEYS = [bytes([number]) * 32 for number in range(100)]


class Clock:
    """A clock that tests move."""

    def __init__(self):
        """Stand somewhere."""
        self.at = 1_000.0

    def __call__(self):
        """The instant it stands at, in seconds."""
        return self.at


@pytest.fixture
def clock():
    """A clock that stands."""
    return Clock()


def _taken(buckets, key, now):
    try:
        buckets.take(key, now)
    except OverQuotaError:
        return False
    return True


@pytest.mark.parametrize(("text", "expected"), [("600/60", Quota(600, 60)), ("1/1", Quota(1, 1)), ("off", None)])
def test_a_quota_is_read(text, expected):
    """So many within so many seconds, or off."""
    assert Quota.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0/60", "60", "60/0", "-1/60", "600/60s", "OFF", "٦/60", "1/100000", "1/60/1", " 1/1"]
)
def test_what_is_no_quota_is_refused(text):
    """Anything else is an error, never no limit."""
    with pytest.raises(ValueError, match=r"^$"):
        Quota.parse(text)


def test_a_quota_is_used_up_and_comes_back_steadily():
    """All of it may be taken at once; then one comes back each time its share of the window has passed."""
    buckets = Buckets("p", Quota(3, 60))
    assert [_taken(buckets, "a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert [_taken(buckets, "a", 19.9), _taken(buckets, "a", 20.1), _taken(buckets, "a", 20.1)] == [False, True, False]
    assert _taken(buckets, "b", 20.1)
    assert buckets.standing("a", 10_000.0).left == 3


def test_more_than_is_left_is_owed():
    """A batch larger than the quota is answered once, and paid for by waiting; it is not refused for ever."""
    buckets = Buckets("p", Quota(10, 10))
    buckets.take("a", 0.0, 25)
    with pytest.raises(OverQuotaError) as refused:
        buckets.take("a", 0.0)
    assert refused.value.standing.wait == 16
    assert not _taken(buckets, "a", 15.9)
    assert _taken(buckets, "a", 16.0)


def test_a_standing_is_told_as_the_draft_says():
    """The policy by name with quota and window; what is left, and the window, or the time to wait once nothing is."""
    buckets = Buckets("searches", Quota(2, 60))
    assert buckets.take("a", 0.0).fields() == ('"searches";q=2;w=60', '"searches";r=1;t=60')
    buckets.take("a", 0.0)
    assert buckets.standing("a", 1.0).fields() == ('"searches";q=2;w=60', '"searches";r=0;t=29')


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 5)), max_size=60), st.integers(1, 9), st.integers(1, 20))
def test_no_more_is_given_than_the_quota_bears(waits, units, seconds):
    """Over any run of requests what was given is at most the quota, what came back, and one request that is owed."""
    buckets, now, given_away = Buckets("p", Quota(units, seconds)), 0.0, 0
    for wait, wanted in waits:
        now += wait
        before = buckets.standing("a", now)
        assert 0 <= before.left <= units
        assert (before.left == 0) == (before.wait >= 1)
        if before.wait:
            with pytest.raises(OverQuotaError):
                buckets.take("a", now, wanted)
        else:
            buckets.take("a", now, wanted)
            given_away += wanted
        assert given_away <= units + now * units / seconds + 5


def test_a_crowd_of_keys_does_not_fill_the_memory():
    """Of so many keys something is remembered; forgotten first are those that have their quota again."""
    buckets = Buckets("p", Quota(2, 10), most=100)
    for number in range(1_000):
        buckets.take(number, number / 1_000)
    assert len(buckets) <= 100
    assert buckets.standing(999, 1.0).left == 1


def test_the_limits_of_a_caller(clock):
    """Each kind has its own quota for each caller; what has none, and who is excepted, is not counted."""
    one, other, free = random_id(), random_id(), random_id()
    limits = RateLimits({Counted.SEARCHES: Quota(1, 60)}, excepted=frozenset({free}), clock=clock)
    assert limits.take(Counted.DECISIONS, one) is None
    assert limits.take(Counted.SEARCHES, free) is None
    assert limits.used_up(Counted.SEARCHES, one) is None
    for caller in (one, other):
        standing = limits.take(Counted.SEARCHES, caller)
        assert standing is not None
        assert standing.left == 0
        with pytest.raises(OverQuotaError):
            limits.take(Counted.SEARCHES, caller)
    used_up = limits.used_up(Counted.SEARCHES, one)
    assert used_up is not None
    assert used_up.wait == 60
    assert limits.refused == {Counted.SEARCHES: 2}


def test_erasing_is_not_counted_and_everything_else_is():
    """Whatever scope is added later is counted as administration until somebody says otherwise."""
    assert {scope for scope in Scope if counted_by(scope) is None} == {Scope.SUBJECTS_ERASE}
    assert counted_by(Scope.KEYS_MANAGE) is Counted.ADMINISTRATION


def test_guessing_is_bounded_by_address(clock):
    """Many different keys from one address use up its quota: further unknown ones are not looked up for a while."""
    limiter = UnknownKeyLimiter(Quota(20, 60), clock=clock)
    quiet = limiter.alert_until
    for key in KEYS[:20]:
        assert limiter.refuses("one", key) is None
        limiter.failed("one", key)
    assert (quiet, limiter.alert_until) == (0.0, clock.at + 3)
    refused = limiter.refuses("one", KEYS[30])
    assert refused is not None
    assert refused.wait == 3
    assert limiter.refuses("other", KEYS[30]) is None
    clock.at += 3.1
    assert limiter.refuses("one", KEYS[30]) is None
    assert [limiter.alert_until] == [0.0]


def test_one_wrong_key_does_not_use_up_its_address(clock):
    """A client with a stale key is refused by itself: others behind the same address are looked up as ever."""
    limiter = UnknownKeyLimiter(Quota(20, 60), clock=clock)
    for _ in range(200):
        if limiter.refuses("proxy", KEYS[0]) is None:
            limiter.failed("proxy", KEYS[0])
    assert limiter.refuses("proxy", KEYS[0]) is not None
    assert limiter.refuses("proxy", KEYS[1]) is None


def test_a_key_that_was_good_is_never_refused_for_its_address(clock):
    """Whatever comes from its address; once it is revoked, it is one of the others."""
    limiter = UnknownKeyLimiter(Quota(20, 60), clock=clock)
    limiter.passed(KEYS[50])
    for key in KEYS[:40]:
        limiter.failed("proxy", key)
    assert limiter.refuses("proxy", KEYS[50]) is None
    assert limiter.refuses("proxy", KEYS[51]) is not None
    limiter.failed("proxy", KEYS[50])
    assert limiter.refuses("proxy", KEYS[50]) is not None


def test_without_a_quota_nobody_is_refused(clock):
    """Off is off."""
    limiter = UnknownKeyLimiter(None, clock=clock)
    for key in KEYS:
        limiter.failed("one", key)
    assert limiter.alert_until == 0.0
    assert limiter.refuses("one", KEYS[0]) is None


def test_the_keys_that_were_good_are_bounded(clock):
    """As many as there may be callers, no more."""
    limiter = UnknownKeyLimiter(Quota(20, 60), clock=clock)
    for number in range(25_000):
        limiter.passed(number.to_bytes(32, "big"))
    assert len(limiter._known) <= 10_000


def _from(host, *said):
    headers = [(b"x-forwarded-for", each.encode()) for each in said]
    return {"client": (host, 1) if host is not None else None, "headers": headers}


@pytest.mark.parametrize(
    ("host", "headers", "expected"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),  # whoever is no proxy of ours may say what it likes
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.7, 203.0.113.9"], "203.0.113.9"),  # what a client put there itself stands before
        ("10.0.0.1", ["198.51.100.7", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, x, 10.0.0.3"], "10.0.0.3"),
        ("::ffff:10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["2001:db8:1:2:9::1"], "2001:db8:1:2::/64"),
        (None, [], ""),
        ("testclient", [], "testclient"),
    ],
)
def test_where_a_request_comes_from(host, headers, expected):
    """The address that connected; from a proxy of ours, the last one that it says and that is no proxy of ours."""
    assert peer_of(_from(host, *headers), parse_networks("10.0.0.0/8, fd00::/8")) == expected


def test_without_proxies_nobody_is_believed():
    """By default what a request says about where it comes from counts for nothing."""
    assert peer_of(_from("10.0.0.1", "203.0.113.9"), parse_networks("")) == "10.0.0.1"
    with pytest.raises(ValueError, match="x"):
        parse_networks("10.0.0.0/8,x")
