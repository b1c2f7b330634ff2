"""The lease: from when a beat was sent, by the clock that also counts sleep; and decisions remembered with records."""

import time
from datetime import UTC, datetime

import pytest

import app.snapshot.lease as lease_module
from app.core.article import Channel
from app.core.decision import Request
from app.core.evaluate import evaluate
from app.core.period import PeriodPolicy
from app.operations.prepared import Prepared, PreparedDecisions, Shape
from app.snapshot.lease import Lease, boot_seconds
from app.snapshot.records import register_record, subject_record


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [100.0]
    monkeypatch.setattr(lease_module, "boot_seconds", lambda: now[0])
    return now


def test_it_is_not_held_at_first(clock):
    """Nor after it was given up."""
    lease = Lease()
    assert not lease.held()
    lease.extend(100.0, 2.0)
    assert lease.held()
    lease.give_up()
    assert not lease.held()


def test_it_runs_from_when_the_beat_was_sent(clock):
    """However late the answer came; at its end it is over."""
    lease = Lease()
    clock[0] = 101.5
    lease.extend(100.0, 2.0)
    assert lease.held()
    clock[0] = 102.0
    assert not lease.held()


def test_an_answer_that_took_longer_than_the_lease_earns_none(clock):
    """It ended before it began."""
    lease = Lease()
    clock[0] = 103.0
    lease.extend(100.0, 2.0)
    assert not lease.held()


def test_its_clock_is_the_one_that_counts_sleep(monkeypatch):
    """CLOCK_BOOTTIME, not CLOCK_MONOTONIC."""
    monkeypatch.setattr(time, "clock_gettime", float)
    assert boot_seconds() == float(time.CLOCK_BOOTTIME)


SHAPE = Shape("ads", None, automated=True, channel=Channel.ONLINE, private=True, territory="FR")
ASKED = Request(b"alice", "ads", None, True, Channel.ONLINE, True, "FR", None)
DECISION = evaluate(ASKED, None, {}, datetime(2026, 6, 15, tzinfo=UTC), PeriodPolicy())
REGISTER, RECORD = register_record(None), subject_record(())


def kept():
    """One decision, remembered until 50, on one register entry and one subject's record."""
    held = PreparedDecisions()
    prepared = Prepared(REGISTER, (RECORD,), 50.0, DECISION)
    held.keep((SHAPE, b"alice"), prepared)
    return held, prepared


def test_a_remembered_decision_needs_the_very_same_records():
    """An equal record is another one: something changed between."""
    held, prepared = kept()
    assert held.get((SHAPE, b"alice"), REGISTER, (RECORD,), 49.9) is prepared
    assert held.get((SHAPE, b"alice"), REGISTER, (subject_record(()),), 49.9) is None
    assert held.get((SHAPE, b"alice"), register_record(None), (RECORD,), 49.9) is None
    assert held.get((SHAPE, b"alice"), REGISTER, (), 49.9) is None
    assert held.get((SHAPE, b"alice"), REGISTER, (RECORD, RECORD), 49.9) is None


def test_a_remembered_decision_ends_when_time_alone_could_change_it():
    """At that instant, not after it."""
    held, _ = kept()
    assert held.get((SHAPE, b"alice"), REGISTER, (RECORD,), 50.0) is None


def test_a_remembered_decision_is_one_question_s():
    """Another subject, or a shape made anew, is another question."""
    held, _ = kept()
    again = Shape("ads", None, automated=True, channel=Channel.ONLINE, private=True, territory="FR")
    assert held.get((SHAPE, b"bob"), REGISTER, (RECORD,), 0.0) is None
    assert held.get((again, b"alice"), REGISTER, (RECORD,), 0.0) is None
