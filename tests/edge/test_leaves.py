"""Sub-leases and owed changes: from when a leaf can no longer decide on what was true before a change."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from app.db.session import ChangeKind
from app.snapshot import leases
from app.snapshot.leases import Leaf, Leaves

CALLER, OTHER = UUID(int=1), UUID(int=2)
SUBJECT = (int(ChangeKind.SUBJECT), b"alice")


@pytest.fixture
def clock(monkeypatch):
    """A CLOCK_BOOTTIME that a test sets."""
    now = [100.0]
    monkeypatch.setattr(leases, "boot_seconds", lambda: now[0])
    return now


class Told:
    """A leaf that notes what it is sent."""

    def __init__(self, leaves, caller=CALLER, limit=float("inf")):
        self.changes: list[tuple[Any, ...]] = []
        self.granted: list[float] = []
        self.doubts, self.hung_up = list[None](), list[None]()
        self.leaf = Leaf(
            caller,
            tell=lambda *told: self.changes.append(told),
            grant=self.granted.append,
            doubt=lambda: self.doubts.append(None),
            hang_up=lambda: self.hung_up.append(None),
        )
        leaves.join(self.leaf)
        leaves.admit(self.leaf, limit)


@pytest.fixture
def leaves(clock):
    """Leaves with a lease until 102."""
    made = Leaves()
    made.grant(102.0)
    return made


def look_until(leaves, clock, end):
    """Look at the leaves ten times a second, as a worker does that is never stopped."""
    while clock[0] < end:
        clock[0] = min(end, clock[0] + 0.1)
        leaves.look()


def test_a_leaf_is_granted_the_lease_of_its_replica_and_no_more(leaves, clock):
    """A leaf's lease ends with its replica's lease or with its own credential, whichever comes first."""
    assert Told(leaves).granted == [102.0]
    assert Told(leaves, limit=101.0).granted == [101.0]
    assert Told(leaves, limit=99.0).granted == []
    clock[0] = 103.0
    assert Told(leaves).granted == []


def test_a_change_holds_until_it_is_forgotten_or_the_lease_of_then_is_over(leaves, clock):
    """A change waits for the lease that the leaf had then; a later lease counts only for later changes."""
    told = Told(leaves)
    leaves.tell([SUBJECT])
    assert told.changes == [(1, [told.leaf.opaque(*SUBJECT)], False)]
    assert not leaves.have_forgotten(1)
    leaves.grant(102.25)
    assert told.leaf.until == 102.25
    clock[0] = 101.9
    assert not leaves.have_forgotten(1)
    clock[0] = 102.0
    assert leaves.have_forgotten(1)
    leaves.tell([SUBJECT])
    assert not leaves.have_forgotten(2), "the later lease counts for what was told after it"
    leaves.forgot(told.leaf, 2)
    assert leaves.have_forgotten(2)


def test_forgetting_one_change_is_forgetting_all_before_it(leaves):
    """A leaf that has forgotten change 2 of 3 counts as having forgotten 1 and 2, and not 3."""
    told = Told(leaves)
    for _ in range(3):
        leaves.tell([SUBJECT])
    leaves.forgot(told.leaf, 2)
    assert leaves.have_forgotten(2)
    assert not leaves.have_forgotten(3)


def test_a_silent_leaf_is_granted_nothing_until_it_answers(leaves, clock):
    """A leaf that owes a change for more than half a second is silent, and is granted no lease until it answers."""
    told = Told(leaves)
    leaves.tell([SUBJECT])
    clock[0] = 100.6
    leaves.grant(102.6)
    assert told.granted == [102.0]
    assert leaves.silent() == 1
    leaves.forgot(told.leaf, 1)
    assert leaves.silent() == 0
    leaves.grant(102.7)
    assert told.granted[-1] == 102.7, "no look has found it late"


def test_a_caller_whose_leaf_was_waited_for_gets_no_lease_for_ten_times_as_long(leaves, clock):
    """The caller of a leaf that a change waited for gets no lease, not even on a new connection; other callers do."""
    told, other = Told(leaves), Told(leaves, OTHER)
    leaves.tell([SUBJECT])
    leaves.forgot(other.leaf, 1)
    leaves.disconnected(told.leaf)
    for now, barred in ((100.5, False), (100.7, True), (102.0, True)):
        look_until(leaves, clock, now)
        assert (Told(leaves).granted == []) == barred
    leaves.grant(104.0)
    assert len(other.granted) == 2
    for now, granted in ((121.9, False), (122.1, True)):
        clock[0] = now
        leaves.grant(now + 2)
        assert bool(Told(leaves).granted) == granted


@pytest.mark.parametrize("answers", [True, False])
def test_after_a_stop_a_worker_bars_only_who_has_not_answered(leaves, clock, answers):
    """What a leaf sent while its worker was stopped is read before the next look; the late look judges nobody."""
    told = Told(leaves)
    leaves.tell([SUBJECT])
    for now in (100.1, 101.0):
        clock[0] = now
        leaves.look()
    if answers:
        leaves.forgot(told.leaf, 1)
    clock[0] = 101.1
    leaves.look()
    assert bool(Told(leaves).granted) == answers


@pytest.mark.parametrize("lease", [2.0, 10.0])
def test_a_leaf_that_ignores_the_end_of_its_lease_bars_its_caller(leaves, clock, lease):
    """A worker that has lost its feed waits for such a leaf, with no beat meanwhile, however long its leases are."""
    leaves.grant(100.0 + lease)
    Told(leaves)
    leaves.revoke()
    look_until(leaves, clock, 100.0 + lease)
    leaves.grant(102.0 + lease)
    assert Told(leaves).granted == []
    clock[0] = 100.0 + 11 * lease
    leaves.grant(102.0 + 11 * lease)
    assert Told(leaves).granted


def test_a_leaf_that_has_ended_or_has_no_lease_is_not_waited_for(leaves, clock):
    """A killed program, and one that hangs without a lease, do not keep another of their caller from a lease."""
    killed, hangs = Told(leaves), Told(leaves, limit=100.1)
    leaves.tell([SUBJECT])
    leaves.ended(killed.leaf)
    clock[0] = 103.0
    leaves.tell([SUBJECT])
    clock[0] = 104.0
    leaves.grant(106.0)
    assert len(hangs.granted) == 1
    assert Told(leaves).granted == [106.0]


def test_a_leaf_that_is_gone_holds_until_its_lease_is_over(leaves, clock):
    """A leaf that has disconnected holds up a change until its lease is over; one whose process has ended does not."""
    told, killed = Told(leaves), Told(leaves)
    leaves.disconnected(told.leaf)
    leaves.ended(killed.leaf)
    leaves.tell([SUBJECT])
    assert told.changes == []
    assert not leaves.have_forgotten(1)
    clock[0] = 102.0
    assert leaves.have_forgotten(1)
    leaves.grant(104.0)
    assert told.granted == [102.0]


def test_a_change_of_a_caller_ends_the_lease_of_its_leaves(leaves):
    """A change of a caller ends its leaves' leases until they are admitted again; other callers' leaves keep theirs."""
    mine, other = Told(leaves), Told(leaves, OTHER)
    leaves.tell([(int(ChangeKind.CALLER), CALLER.bytes)])
    assert mine.changes == [(1, None, True)]
    assert other.changes == [(1, [], False)]
    assert (len(mine.doubts), len(other.doubts)) == (1, 0)
    leaves.grant(103.0)
    assert mine.granted == [102.0]
    assert other.granted[-1] == 103.0
    leaves.admit(mine.leaf, float("inf"))
    assert mine.granted[-1] == 103.0


async def test_leases_are_released_when_each_leaf_has_said_so_or_its_lease_is_over(leaves, clock):
    """After a revocation, leases are released as soon as each leaf has confirmed it."""
    told = Told(leaves)
    leaves.revoke()
    assert told.changes == [(1, None, True)]
    waiting = asyncio.ensure_future(leaves.released())
    await asyncio.sleep(0)
    assert not waiting.done()
    leaves.forgot(told.leaf, 1)
    await asyncio.wait_for(waiting, 10)
    clock[0] = 101.0
    await asyncio.wait_for(leaves.released(), 10)
    assert told.leaf.until == 0.0


def test_nothing_is_granted_once_the_process_is_about_to_end(leaves):
    """A closed set of leaves grants no lease, although its process goes on beating."""
    told = Told(leaves)
    leaves.close()
    leaves.grant(103.0)
    assert told.granted == [102.0]


def test_numbers_of_one_leaf_say_nothing_to_another(leaves):
    """Each connection knows a record by one number, which is another on each connection."""
    one, other = Told(leaves), Told(leaves)
    assert one.leaf.opaque(*SUBJECT) == one.leaf.opaque(*SUBJECT)
    assert one.leaf.opaque(*SUBJECT) != other.leaf.opaque(*SUBJECT)
    assert one.leaf.opaque(*SUBJECT) != one.leaf.opaque(int(ChangeKind.PROCESSING), b"alice")


def test_only_the_last_end_of_a_lease_releases_it(leaves):
    """A leaf's lease is released by its answer to the last revocation, and not by its answer to an earlier one."""
    told = Told(leaves)
    leaves.revoke()
    leaves.grant(103.0)
    leaves.forgot(told.leaf, 1)
    assert told.leaf.until == 103.0, "a lease was granted after that end"
    leaves.revoke()
    leaves.revoke()
    leaves.forgot(told.leaf, 2)
    assert told.leaf.until == 103.0, "another end is under way"
    leaves.forgot(told.leaf, 3)
    assert told.leaf.until == 0.0
    leaves.grant(104.0)
    leaves.tell([SUBJECT])
    leaves.forgot(told.leaf, 4)
    assert told.leaf.until == 104.0, "forgetting a record ends no lease"


def test_a_leaf_is_silent_by_the_oldest_change_that_it_owes(leaves, clock):
    """A leaf is silent half a second after its oldest unanswered change, even if it is sent newer ones."""
    _, gone = Told(leaves), Told(leaves)
    leaves.tell([SUBJECT])
    clock[0] = 100.5
    leaves.tell([SUBJECT])
    assert leaves.silent() == 0, "half a second is what it has"
    clock[0] = 100.6
    assert leaves.silent() == 2
    leaves.disconnected(gone.leaf)
    assert (leaves.silent(), len(leaves)) == (1, 1)


def test_nothing_is_granted_before_the_caller_was_looked_at(leaves):
    """A leaf that is not admitted yet, or whose process has ended, is granted no lease."""
    told, ended = Told(leaves), Told(leaves)
    new = Told(leaves)
    new.leaf.is_admitted = False
    new.granted.clear()
    leaves.ended(ended.leaf)
    leaves.grant(103.0)
    assert (len(told.granted), len(ended.granted), len(new.granted)) == (2, 1, 0)
    assert not ended.leaf.is_connected


def test_no_change_is_no_message(leaves):
    """An empty change is not sent, and a change without any leaf is owed by none."""
    told = Told(leaves)
    leaves.tell([])
    assert (told.changes, leaves.number) == ([], 0)
    nobody = Leaves()
    nobody.tell([SUBJECT])
    assert nobody.have_forgotten(nobody.number)


def test_a_leaf_that_owes_too_much_is_hung_up_on(leaves, monkeypatch):
    """A leaf that owes more changes than allowed is hung up on, so that they do not fill the worker's memory."""
    monkeypatch.setattr(leases, "_MOST_OWED", 3)
    told = Told(leaves)
    for _ in range(3):
        leaves.tell([SUBJECT])
    assert not told.hung_up
    leaves.tell([SUBJECT])
    assert told.hung_up


async def test_a_wait_ends_when_its_seconds_are_over(leaves):
    """A wait that ran out of time says that a leaf may not have forgotten the change."""
    Told(leaves)
    leaves.tell([SUBJECT])
    assert await leaves.forgotten(1, seconds=0.0) is False
    assert await leaves.forgotten(0, seconds=0.0) is True


async def test_a_lease_that_ends_while_it_is_waited_for_is_over(leaves, monkeypatch):
    """A wait for a leaf ends when the leaf's lease does, even if that happens between two readings of the clock."""
    Told(leaves)
    leaves.tell([SUBJECT])
    clock = iter([100.0, 101.999, 102.0, 102.0, 102.0])
    monkeypatch.setattr(leases, "boot_seconds", lambda: next(clock, 102.0))
    assert await leaves.forgotten(1)


def test_many_changes_at_once_are_told_in_one_word(leaves):
    """Five hundred and one changes at once are sent to a leaf as one message to forget everything."""
    told = Told(leaves)
    leaves.tell([(int(ChangeKind.SUBJECT), b"%d" % number) for number in range(501)])
    assert told.changes == [(1, None, True)]


def test_a_leaf_without_a_lease_owes_one_change_and_not_each(leaves, clock):
    """A leaf without a lease holds up no write and owes one change only, by which its silence is noticed."""
    told = Told(leaves)
    leaves.tell([SUBJECT])
    clock[0] = 103.0
    for _ in range(5):
        leaves.tell([SUBJECT])
    assert len(told.leaf.owed) == 1
    assert len(told.changes) == 6
    assert leaves.have_forgotten(6)
