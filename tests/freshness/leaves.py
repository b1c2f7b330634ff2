"""Leaves below a replica, the interleavings that each mechanism of the second level is for, and each switched off."""

import asyncio
from typing import Any

from app.snapshot.leases import Leaf, Leaves, boot_seconds
from tests.freshness.gate import until


class SlowLeaf:
    """An edge that reads its messages when the scenario says so, and holds one decision: a permit.

    Two edges that are wrong: `confirms_first` says that it has forgotten before it does, `leases_first` takes a lease
    before it reads the changes that were sent earlier.
    """

    def __init__(self, leaves: Leaves, caller, *, confirms_first: bool = False, leases_first: bool = False):
        self._leaves = leaves
        self._inbox: list[tuple[Any, ...]] = []
        self._end, self._holds = 0.0, False
        self._confirms_first, self._leases_first = confirms_first, leases_first
        self.reads = True
        self.leaf = Leaf(
            caller,
            tell=lambda *told: self._come(("changed", *told)),
            grant=lambda end: self._come(("lease", end)),
            doubt=lambda: None,
            hang_up=lambda: None,
        )
        leaves.join(self.leaf)
        leaves.admit(self.leaf, float("inf"))

    def hold_permit(self):
        """Take an answer that is a permit and may be held."""
        self._holds = True

    def permits(self):
        """Whether it permits: the lease first, then memory."""
        return boot_seconds() < self._end and self._holds

    def read_on(self):
        """Read what has come, and whatever comes from now on."""
        self.reads = True
        while self._inbox:
            self._take(self._inbox.pop(0))

    def _come(self, message):
        if self._leases_first and message[0] == "lease":
            self._take(message)
            return
        self._inbox.append(message)
        if self._confirms_first and message[0] == "changed":
            self._leaves.forgot(self.leaf, message[1])
        if self.reads:
            self.read_on()

    def _take(self, message):
        if message[0] == "lease":
            self._end = message[1]
            return
        _, number, _, ends = message
        self._holds = False
        self._end = 0.0 if ends else self._end
        if not self._confirms_first:
            self._leaves.forgot(self.leaf, number)


async def _with_leaf(world, site, *, reads, **wrong):
    """A site with a leaf that holds the permit under a lease."""
    await world.begin()
    status, body = await site.call("GET", "/v1/keys")
    assert status == 200
    leaf = SlowLeaf(site.replica.leaves, body["items"][0]["id"], **wrong)
    await until(lambda: leaf._end > boot_seconds())
    leaf.hold_permit()
    assert leaf.permits()
    leaf.reads = reads
    return leaf


def _withdrawn(at, *, reads, **wrong):
    """A leaf of one site holds the permit while A withdraws."""

    async def scenario(world):
        leaf = await _with_leaf(world, getattr(world, at), reads=reads, **wrong)
        await world.withdraw()
        return leaf.permits()

    return scenario


below_the_writer = _withdrawn("a", reads=False)
"""A leaf of A reads nothing while A withdraws."""
below_another = _withdrawn("b", reads=False)
"""A leaf of B reads nothing while A withdraws."""
that_reads = _withdrawn("b", reads=True)
"""A leaf of B reads at once, and A withdraws."""
that_says_so_first = _withdrawn("b", reads=False, confirms_first=True)
"""A leaf of B says that it has forgotten, and forgets a moment later."""
that_takes_leases_first = _withdrawn("b", reads=False, leases_first=True)
"""A leaf of B takes each lease at once, and reads nothing else."""


async def below_a_silent_feed(world):
    """The feed of B has stopped; its leaf would read what came."""
    leaf = await _with_leaf(world, world.b, reads=True)
    await world.b.freeze()
    await world.withdraw()
    return leaf.permits()


async def below_the_reborn(world):
    """The server ends the feed of B, which registers anew while its leaf reads nothing."""
    leaf = await _with_leaf(world, world.b, reads=False)
    world.b.before_beat.close()
    before = world.b.feed.incarnation
    writing = await world.committed(world.withdraw())
    world.cut_feed(world.b)
    world.b.before_beat.open()
    await until(lambda: world.b.feed.incarnation != before or writing.done())
    await writing
    return leaf.permits()


async def below_one_that_stops(world):
    """B stops gracefully while its leaf reads nothing."""
    leaf = await _with_leaf(world, world.b, reads=False)
    world.b.before_beat.close()
    await until(lambda: world.b.before_beat.waiting)
    writing = await world.committed(world.withdraw())
    stopping = asyncio.create_task(world.b.replica.stop())
    await writing
    permitted = leaf.permits()
    await stopping
    return permitted


async def that_takes_a_lease_late(world):
    """A leaf of B has read nothing for a while, and reads all of it once the withdrawal is answered."""
    leaf = await _with_leaf(world, world.b, reads=False)
    await world.withdraw()
    leaf.read_on()
    return leaf.permits()


def never_waited_for(patch):
    """A write is answered without its own leaves."""

    async def forgotten(self, *_, **__):
        return True

    patch(Leaves, "forgotten", forgotten)


def acknowledged_too_early(patch):
    """What leaves have not forgotten counts as forgotten."""
    patch(Leaves, "have_forgotten", lambda *_: True)


def beyond_the_lease(patch):
    """Sub-leases outlive the lease."""
    grant = Leaves.grant
    patch(Leaves, "grant", lambda self, end: grant(self, end + 60.0))


def not_released(patch):
    """A replica's row is deleted although a leaf still holds a lease."""

    async def released(_):
        return None

    patch(Leaves, "released", released)
