"""Machines whose clocks do not go as they should, and the scenarios that need them."""

import time
from unittest.mock import patch

import app.snapshot.leases as lease_module
from app.snapshot.leases import Lease, boot_seconds
from tests.freshness.scenarios import silent_feed


class _Machine:
    """`time` as app.snapshot.leases sees it, on a machine that was suspended for some seconds."""

    def __init__(self, real):
        self._real, self.slept = real, 0.0
        self.CLOCK_BOOTTIME, self.CLOCK_MONOTONIC = real.CLOCK_BOOTTIME, real.CLOCK_MONOTONIC

    def clock_gettime(self, clock):
        """As `time.clock_gettime`; sleep counts for CLOCK_BOOTTIME only."""
        return self._real.clock_gettime(clock) + (self.slept if clock == self.CLOCK_BOOTTIME else 0.0)


async def suspended_machine(world, lease=None):
    """B's machine is suspended for longer than its lease, and the withdrawal is answered meanwhile."""
    machine = _Machine(time)
    _give(world.b, lease or Lease())
    with patch.object(lease_module, "time", machine):
        await world.begin()
        await world.fill(world.b)
        await world.b.freeze()
        writing = await world.committed(world.withdraw())
        machine.slept = 60.0
        await writing
        return await world.ask(world.b)


class MonotonicLease(Lease):
    """A lease on a clock that stands still while the machine sleeps."""

    def held(self):
        """As `Lease.held`."""
        return time.monotonic() < self.end

    def extend(self, sent, seconds):
        """As `Lease.extend`."""
        self.end = time.monotonic() - (boot_seconds() - sent) + seconds


class SlowLease(Lease):
    """A lease on a clock that goes at half the speed."""

    def __init__(self):
        super().__init__()
        self._zero = boot_seconds()

    def held(self):
        """As `Lease.held`."""
        return self._zero + (boot_seconds() - self._zero) / 2 < self.end

    def extend(self, sent, seconds):
        """As `Lease.extend`."""
        self.end = self._zero + (sent - self._zero) / 2 + seconds


def _give(site, lease):
    site.replica.lease = site.feed.lease = site.lease = lease


async def slow_clock(world, margin=None):
    """B's clock loses half of its time; the margin allows for that."""
    _give(world.b, SlowLease())
    world.a.confirmer._longest = world.a.replica._plan.pace.lease * 2.2 if margin is None else margin
    return await silent_feed(world)


async def monotonic_lease(world):
    """The suspended machine, with a lease on CLOCK_MONOTONIC at B."""
    return await suspended_machine(world, MonotonicLease())


async def no_margin(world):
    """The slow clock, without a margin."""
    return await slow_clock(world, world.a.replica._plan.pace.lease)
