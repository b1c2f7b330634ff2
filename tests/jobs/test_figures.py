import asyncio
from datetime import timedelta

import pytest

from app.audit.figures import Figure, JobRun, keep_figure, load_figure, one_at_a_time
from app.core.period import PeriodPolicy
from app.db.database import Database
from app.jobs.tasks import CONSENTS, is_time, make_jobs
from app.jobs.work import Work
from app.operations.consents.projections import CONSENTS as FIGURE
from app.operations.consents.projections import count_consents
from app.operations.service.show_home import record_job_run
from app.wiring.parts import deployment_of
from tests.support.api import TestClock, running, settings_for, utc

NOW = utc("2026-06-15T10:00:00Z")


@pytest.fixture
def told(database):
    """Run a story with what tasks work with, on a clock that stands at `NOW`."""

    def run(story):
        async def closed():
            work = Work(Database(database.app_url, clock=TestClock(NOW)), deployment_of(settings_for(database)))
            try:
                return await story(work)
            finally:
                await work.database.close()

        return asyncio.run(closed())

    return run


def test_the_task_counts(database):
    """The task of the jobs process, run as it runs it, leaves numbers to show."""
    with running(database) as api:
        api.register("ads")
        for name in ("alice", "bob"):
            api.decide(name, "ads")

    async def story():
        work = Work(Database(database.app_url), deployment_of(settings_for(database)))
        tasks = make_jobs(database.app_url, work).tasks
        try:
            await tasks["figures.consents"].func(timestamp=0)
            async with work.database.read() as session:
                return await load_figure(session, "consents")
        finally:
            await work.database.close()

    consents = asyncio.run(story())
    assert [(each["processing"], each["state"], each["number"]) for each in consents.numbers] == [
        ("ads", "in_force", 2)
    ]


@pytest.mark.parametrize(
    ("took", "ago", "again"),
    [
        (timedelta(milliseconds=5), timedelta(seconds=49), False),
        (timedelta(milliseconds=5), timedelta(seconds=51), True),
        (timedelta(seconds=5), timedelta(minutes=4, seconds=59), False),
        (timedelta(seconds=5), timedelta(minutes=5), True),
    ],
)
def test_what_takes_long_is_counted_seldom(told, took, ago, again):
    """A count rests for sixty times as long as it took, a minute at least."""

    async def story(work):
        async with work.database.write() as session:
            await keep_figure(session, FIGURE, Figure(NOW - ago, took))
        return await is_time(work, CONSENTS, FIGURE)

    assert told(story) is again


@pytest.mark.parametrize(("ago", "again"), [(timedelta(minutes=9), False), (timedelta(minutes=10), True)])
def test_a_count_that_failed_is_left_alone(told, ago, again):
    """After a failure there is no count for ten minutes."""

    async def story(work):
        async with work.database.write() as session:
            await record_job_run(session, JobRun(CONSENTS, NOW - ago, timedelta(seconds=30), error="QueryCanceled"))
        return await is_time(work, CONSENTS, FIGURE)

    assert told(story) is again


def test_one_counts_at_a_time(told):
    """While one process counts, another leaves it to it."""

    async def story(work):
        async with work.database.write() as first, work.database.write() as second:
            assert await one_at_a_time(first, FIGURE)
            return await count_consents(second, PeriodPolicy())

    assert told(story) is None
