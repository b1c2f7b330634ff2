"""Reads gathered into statements: who waits too long or finds too many waiting is told, and what is left goes on."""

import asyncio

import pytest

import app.snapshot.leases as gathered_module
from app.db.database import DatabaseUnavailableError
from app.snapshot.leases import GatheredReads
from tests.freshness.gate import Gate, until


class Slow:
    """A database that answers when its gate is open; what it was asked for, statement by statement."""

    def __init__(self):
        self.gate, self.asked = Gate(), []
        self.gate.close()

    async def read(self, keys):
        """Each key is its own record."""
        self.asked.append(set(keys))
        await self.gate.pass_through()
        return {key: key for key in keys}


async def test_a_miss_waits_no_longer_than_its_deadline():
    """Behind statements that hang a miss is unavailable, and is not read any more when its turn comes."""
    slow = Slow()
    reads = GatheredReads(slow.read, deadline=0.02)
    for key in (b"a", b"b", b"c"):
        with pytest.raises(DatabaseUnavailableError):
            await reads.read([key])
    slow.gate.open()
    assert (await reads.read([b"d"]))[b"d"] == b"d"
    assert slow.asked == [{b"a"}, {b"b"}, {b"d"}]


async def test_only_so_many_misses_wait(monkeypatch):
    """One miss more than may wait is unavailable at once, and those that wait are answered."""
    monkeypatch.setattr(gathered_module, "_MOST_WAITING", 2)
    slow, tasks = Slow(), []
    reads = GatheredReads(slow.read, deadline=60)
    for key in (b"a", b"b", b"c", b"d"):
        tasks.append(asyncio.create_task(reads.read([key])))
        await until(lambda: len(slow.asked) == min(2, len(tasks)))
        await asyncio.sleep(0)
    with pytest.raises(DatabaseUnavailableError):
        await reads.read([b"e"])
    slow.gate.open()
    values = [await task for task in tasks]
    assert [key in each for key, each in zip((b"a", b"b", b"c", b"d"), values, strict=True)] == [True] * 4
