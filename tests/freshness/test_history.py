"""Real workers under concurrent callers: everything that was answered is checked afterwards (bench/stale)."""

import asyncio
import random

import pytest

from bench.stale.callers import Crew
from bench.stale.episodes import register
from bench.stale.fleet import Fleet
from bench.stale.key_episodes import episodes
from tests.freshness import ways
from tests.support.forking import forked_within

RACES, BEFORE_ANSWER = 20, 20


def run(database, directory, each, *, until):
    """Start workers, let callers loose on them, and give the verdict, and how each worker answered."""
    with forked_within("bench.stale.fleet"), Fleet(database.app_url, directory, each, SCEAU_DRAIN="PT0S") as fleet:
        crew = Crew(fleet.workers, random.Random(20260615))
        asyncio.run(_work(crew, until))
    return crew.verdict, [worker.ways() for worker in fleet.workers]


async def _work(crew, until):
    processing = await register(crew)
    assert processing is not None
    await crew.run(episodes(crew, processing), 60, until=until)


def enough(verdict):
    """Whether a verdict rests on enough races."""
    return verdict.proves_something(withdrawals=RACES, permits=BEFORE_ANSWER)


def test_no_permit_after_an_answered_withdrawal(database, tmp_path):
    """No permit is stale at a worker an hour off that wakes no feed, at one that keeps reads late, or at a strict one.

    The two workers that may answer from memory used every way there is between them.
    """
    each = [
        {"STALE_NO_NOTIFY": "1", "STALE_WALL_HOURS": "1"},
        {"STALE_SLOW_LANDING": "0.02"},
        {"SCEAU_CACHE": "strict"},
    ]
    verdict, taken = run(database, tmp_path, each, until=enough)
    assert verdict.stale == []
    assert enough(verdict), f"too few races to prove anything: {verdict}"
    assert ways.not_taken(taken[0] + taken[1], ways.LEASED) == []
    assert set(+taken[2]) == set(ways.STRICT)


@pytest.mark.deep
def test_the_checker_sees_a_protocol_that_is_switched_off(database, tmp_path):
    """Without confirmation, the same callers and the same check find stale permits."""
    each = [{"STALE_MUTANT": "no confirmation", "STALE_NO_NOTIFY": "1"}] * 2
    verdict, _ = run(database, tmp_path, each, until=lambda verdict: bool(verdict.stale))
    assert verdict.stale
