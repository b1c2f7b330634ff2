"""The lease runs from when a beat was sent, by the clock that also counts sleep."""

import time

import pytest

import app.snapshot.leases as lease_module
from app.snapshot.leases import Lease, boot_seconds


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""
    now = [100.0]
    monkeypatch.setattr(lease_module, "boot_seconds", lambda: now[0])
    return now


def test_it_is_not_held_at_first(clock):
    """A lease is not held before it is first extended, or after it was given up."""
    lease = Lease()
    assert not lease.held()
    lease.extend(100.0, 2.0)
    assert lease.held()
    lease.give_up()
    assert not lease.held()


def test_it_runs_from_when_the_beat_was_sent(clock):
    """A lease runs from when its beat was sent, however late the answer came."""
    lease = Lease()
    clock[0] = 101.5
    lease.extend(100.0, 2.0)
    assert lease.held()
    clock[0] = 102.0
    assert not lease.held()


def test_an_answer_that_took_longer_than_the_lease_earns_none(clock):
    """A beat whose answer took longer than the lease earns no lease."""
    lease = Lease()
    clock[0] = 103.0
    lease.extend(100.0, 2.0)
    assert not lease.held()


def test_its_clock_is_the_one_that_counts_sleep(monkeypatch):
    """The lease goes by CLOCK_BOOTTIME, which also counts the time that the machine sleeps."""
    monkeypatch.setattr(time, "clock_gettime", float)
    assert boot_seconds() == float(time.CLOCK_BOOTTIME)
