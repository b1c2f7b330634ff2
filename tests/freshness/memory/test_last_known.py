"""What is remembered for an outage: bounded, in time, and never what was forgotten while it was read."""

import math
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import app.snapshot.last_known as last_known_module
from app.auth.callers import Authenticated, Caller
from app.core.article import Purpose
from app.core.processing import Processing, Status, StatusChange
from app.db.session import ChangeKind
from app.snapshot.last_known import HeldOrKnown, LastKnown
from app.snapshot.leases import RecordCache
from app.snapshot.records import RegisterRecord
from tests.support.api import utc
from tests.support.properties import examples

NOON = utc("2026-06-15T12:00:00Z")


def _boot():
    """The time by the clock that the module has now, which a test may have replaced."""
    return vars(last_known_module)["boot_seconds"]()


@pytest.fixture
def now(monkeypatch):
    """The time by that clock, which a test sets."""
    time = [100.0]
    monkeypatch.setattr(last_known_module, "boot_seconds", lambda: time[0])
    return time


def _found(number, until=None, signed_by=None):
    caller = Caller(UUID(int=number), "x", frozenset(), None, NOON)
    return Authenticated(caller, caller.id, NOON, until, signed_by)


def test_a_credential_is_known_until_its_end():
    """A key or token with an end is known before it, and not from it on; one without is known."""
    known, until = LastKnown(), NOON + timedelta(minutes=1)
    known.remember_caller(b"ends", _found(1, until), _boot())
    known.remember_caller(b"stays", _found(2), _boot())
    assert known.caller(b"ends", NOON) == _found(1).caller
    assert known.caller(b"ends", until) is None
    assert known.caller(b"stays", until) == _found(2).caller


def test_a_caller_is_forgotten_alone():
    """All credentials of the caller that changed are forgotten, and those of no other."""
    known = LastKnown()
    for digest, number in ((b"a", 1), (b"b", 1), (b"c", 2)):
        known.remember_caller(digest, _found(number), _boot())
    known.forget_caller(UUID(int=1))
    assert [known.caller(digest, NOON) is None for digest in (b"a", b"b", b"c")] == [True, True, False]


def test_tokens_of_a_withdrawn_key_are_forgotten():
    """Tokens that rest on a key that its issuer withdrew are forgotten; keys of ours and other tokens are not."""
    known = LastKnown()
    for digest, signed_by in ((b"a", "gone"), (b"b", "stays"), (b"c", None)):
        known.remember_caller(digest, _found(1, signed_by=signed_by), _boot())
    known.forget_signed_by(frozenset({"gone"}))
    assert [known.caller(digest, NOON) is None for digest in (b"a", b"b", b"c")] == [True, False, False]


def test_what_was_read_before_a_revocation_is_not_remembered_after_it():
    """A read that a forgetting overtook is not kept; control: one that began after it is."""
    known = LastKnown()
    began = _boot()
    known.forget_caller(UUID(int=1))
    known.remember_caller(b"a", _found(1), began)
    assert known.caller(b"a", NOON) is None
    known.remember_caller(b"a", _found(1), _boot())
    assert known.caller(b"a", NOON) is not None


def test_it_holds_so_many_and_no_more():
    """Of more than ten thousand callers the one not remembered for longest is forgotten."""
    known = LastKnown()
    for number in range(10_001):
        known.remember_caller(number.to_bytes(4), _found(number), 0)
    assert known.caller((0).to_bytes(4), NOON) is None
    assert known.caller((1).to_bytes(4), NOON) is not None


SCAN = Processing("scan", Purpose.MALWARE_DETECTION, ())
SORT = Processing("sort", Purpose.SORTING, ())


def test_a_register_entry_that_changed_while_it_was_read_is_not_remembered():
    """A read that a change overtook is not kept; control: one that began after it is."""
    known = LastKnown()
    began = _boot()
    known.forget([(ChangeKind.PROCESSING, b"scan")])
    known.remember_processing("scan", SCAN, began)
    assert known.exempt_processing("scan") is None
    known.remember_processing("scan", SCAN, _boot())
    assert known.exempt_processing("scan") is SCAN


def test_without_a_feed_only_what_was_read_lately_is_known(now):
    """What was read within the bound before an outage was noticed is known while it lasts; what is older is not."""
    now[0] = 0.0
    known, fed = LastKnown(60), LastKnown()
    for each in (known, fed):
        each.remember_processing("scan", SCAN, 0)
        each.remember_caller(b"a", _found(1), 0)
    now[0] = 59.0
    known.away()
    now[0] = 5000.0
    assert known.exempt_processing("scan") is SCAN
    assert known.caller(b"a", NOON) is not None
    known.heard(NOON, now[0])
    known.away()
    assert known.exempt_processing("scan") is None
    assert known.caller(b"a", NOON) is None
    assert fed.exempt_processing("scan") is SCAN


def test_the_databases_clock_is_carried_on(now):
    """Its time as heard, and what has passed since by a clock that nobody sets; None before it was heard."""
    known = LastKnown()
    assert known.now() is None
    known.heard(NOON, 100.0)
    now[0] = 130.0
    assert known.now() == NOON.timestamp() + 30


def test_what_was_known_before_a_gap_is_used_until_it_is_read_anew(now):
    """For an outage that begins within a minute, and no longer than until all was read again; not what has changed."""
    known = LastKnown(60)

    def gap():
        for digest, number in ((b"a", 1), (b"b", 2)):
            known.remember_caller(digest, _found(number), _boot())
        known.remember_processing("scan", SCAN, _boot())
        now[0] += 1
        known.follow_anew()
        return known_now()

    def known_now():
        return [known.caller(b"a", NOON), known.caller(b"b", NOON), known.exempt_processing("scan")]

    assert None not in gap()
    known.forget_caller(UUID(int=1))
    known.forget_processing("scan")
    assert (known.caller(b"a", NOON), known.exempt_processing("scan")) == (None, None)
    assert known.caller(b"b", NOON) is not None
    known.settle()
    assert known.caller(b"b", NOON) is None
    assert None not in gap()
    known.away()
    now[0] += 5000
    assert None not in known_now()
    known.is_back()
    assert known_now() == [None] * 3
    known.remember_caller(b"c", _found(3), _boot())
    known.settle()
    assert known.caller(b"c", NOON) is not None


def test_a_gap_takes_no_time_from_what_was_confirmed_before_it(now):
    """What a feed had reported until shortly before a gap is as old as its last report, through several gaps."""
    now[0] = 1000.0
    feed: Any = SimpleNamespace(last_beat=1000.0, lease=SimpleNamespace(held=lambda: True))
    known = HeldOrKnown(RecordCache(2), RecordCache(2), feed)
    known.remember_processing("scan", SCAN, _boot())
    now[0] = feed.last_beat = 5000.0
    for _ in range(2):
        now[0] += 10
        known.follow_anew()
        feed.last_beat = now[0]
    now[0] = 5059.0
    assert known.exempt_processing("scan") is SCAN
    now[0] = 5061.0
    assert known.exempt_processing("scan") is None


def test_a_read_that_was_overtaken_takes_nothing_away_that_it_does_not_contradict(now):
    """After a change of another caller, one that was known stays where the read says the same, and goes otherwise."""
    known = LastKnown()
    for digest, number in ((b"a", 1), (b"b", 2)):
        known.remember_caller(digest, _found(number), 100.0)
    now[0] = 101.0
    known.forget_caller(UUID(int=9))
    for digest, number in ((b"a", 1), (b"b", 3), (b"c", 4)):
        known.remember_caller(digest, _found(number), 100.5)
    assert known.caller(b"a", NOON) is not None
    assert (known.caller(b"b", NOON), known.caller(b"c", NOON)) == (None, None)


STOPPED = replace(SCAN, status_changes=(StatusChange(NOON, Status.SUSPENDED),))
TIMES = st.lists(st.integers(1, 40), min_size=3, max_size=3, unique=True).map(sorted)


@settings(max_examples=examples(25, deep=2_000))
@given(
    ended_at=st.integers(1, 40),
    reads=st.lists(TIMES, max_size=8),
    gaps=st.lists(st.integers(1, 40), max_size=2),
    others=st.lists(st.integers(1, 40), max_size=2),
    reported_after=st.none() | st.integers(0, 5),
)
def test_what_a_read_has_seen_to_be_over_is_over(ended_at, reads, gaps, others, reported_after):
    """In whichever order reads begin, see and end: a key or filter that one saw to be ended is not used after it."""
    doings: list[tuple[float, str, Any]] = [(ended, "read", (began, seen)) for began, seen, ended in reads]
    doings += [(each + 0.3, "gap", None) for each in gaps] + [(each + 0.6, "other", None) for each in others]
    if reported_after is not None:
        doings.append((ended_at + reported_after + 0.1, "reported", None))
    feed: Any = SimpleNamespace(last_beat=0.0, lease=SimpleNamespace(held=lambda: True))
    has_seen_end = False
    with pytest.MonkeyPatch.context() as patch:
        for known in (LastKnown(), HeldOrKnown(RecordCache(2), RecordCache(2), feed)):
            has_seen_end = False
            for at, what, about in sorted(doings, key=lambda doing: doing[0]):
                patch.setattr(last_known_module, "boot_seconds", lambda at=at: at)
                if what == "read":
                    began, seen = about
                    is_over = seen >= ended_at
                    known.remember_caller(b"a", None if is_over else _found(1), began)
                    known.remember_processing("scan", STOPPED if is_over else SCAN, began)
                    has_seen_end |= is_over
                elif what == "gap":
                    known.follow_anew()
                elif what == "reported":
                    known.forget_caller(UUID(int=1))
                    known.forget_processing("scan")
                    has_seen_end = True
                else:
                    known.forget_caller(UUID(int=9))
                    known.forget_processing("another")
                if has_seen_end:
                    assert known.caller(b"a", NOON) is None
                    assert known.exempt_processing("scan") in {None, STOPPED}


def test_what_a_lease_holds_gives_way_to_a_read_that_says_otherwise():
    """A record that is held under a lease is not used in an outage once a read has said otherwise."""
    register: RecordCache[str, RegisterRecord] = RecordCache(2)
    feed: Any = SimpleNamespace(last_beat=_boot(), lease=SimpleNamespace(held=lambda: True))
    known = HeldOrKnown(RecordCache(2), register, feed)
    register.put("scan", RegisterRecord(SCAN, None))
    assert known.exempt_processing("scan") is SCAN
    known.remember_processing("scan", STOPPED, _boot())
    assert known.exempt_processing("scan") is STOPPED


def test_reads_that_always_overlap_keep_it_young_and_learn_a_change(now):
    """A fact that many overlapping reads repeat stays young; one that differs is learnt by the read after it."""
    now[0] = 0.0
    known = LastKnown(60)
    for began in range(200):
        now[0] = began + 1.5
        known.remember_processing("scan", SCAN, began)
        known.remember_caller(b"a", _found(1), began)
    now[0] = 250.0
    assert (known.exempt_processing("scan"), known.caller(b"a", NOON) is None) == (SCAN, False)
    now[0] = 251.0
    known.remember_processing("scan", STOPPED, 200)
    assert known.exempt_processing("scan") is None
    known.remember_processing("scan", STOPPED, 251)
    assert known.exempt_processing("scan") is STOPPED


def test_a_read_that_nothing_proves_contradicts_and_adds_nothing():
    """A read without proof of its server keeps no caller, and takes one away that it contradicts."""
    known = LastKnown()
    known.remember_caller(b"a", _found(1), -math.inf)
    assert known.caller(b"a", NOON) is None
    known.remember_caller(b"a", _found(1), _boot())
    known.remember_caller(b"a", _found(1), -math.inf)
    assert known.caller(b"a", NOON) is not None
    known.remember_caller(b"a", _found(2), -math.inf)
    assert known.caller(b"a", NOON) is None
