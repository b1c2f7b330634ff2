"""Real workers under concurrent callers: everything that was answered is checked afterwards (bench/stale)."""

import asyncio
import random

from bench.stale.callers import Crew
from bench.stale.episodes import episodes, register
from bench.stale.fleet import Fleet

RACES, BEFORE_ANSWER = 25, 25


def run(database, directory, each, *, until):
    """Start workers, let callers loose on them, and give the verdict."""
    with Fleet(database.app_url, directory, each) as fleet:
        crew = Crew(fleet.workers, random.Random(20260615))
        asyncio.run(_work(crew, until))
        return crew.verdict


async def _work(crew, until):
    processing = await register(crew)
    assert processing is not None
    await crew.run(episodes(crew, processing), 60, until=until)


def enough(verdict):
    """Whether a verdict rests on enough races."""
    return verdict.proves_something(races=RACES, permits_before_answer=BEFORE_ANSWER)


def test_no_permit_after_an_answered_withdrawal(database, tmp_path):
    """A worker an hour off that wakes nobody, one slow to keep what it read, a strict one: no stale permit at any."""
    each = [
        {"STALE_NO_NOTIFY": "1", "STALE_WALL_HOURS": "1"},
        {"STALE_SLOW_LANDING": "0.02"},
        {"SCEAU_CACHE": "strict"},
    ]
    verdict = run(database, tmp_path, each, until=enough)
    assert verdict.stale == []
    assert enough(verdict), f"too few races to prove anything: {verdict}"


def test_the_checker_sees_a_protocol_that_is_switched_off(database, tmp_path):
    """Without confirmation, the same callers and the same check find stale permits."""
    each = [{"STALE_MUTANT": "no confirmation", "STALE_NO_NOTIFY": "1"}] * 2
    verdict = run(database, tmp_path, each, until=lambda verdict: bool(verdict.stale))
    assert verdict.stale
