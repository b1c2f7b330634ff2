from datetime import timedelta

import pytest

from app.audit.figures import Figure, JobRun, keep_figure, load_figure
from app.core.period import PeriodPolicy
from app.jobs.tasks import CONSENTS, is_time
from app.operations.consents.projections import CONSENTS as FIGURE
from app.operations.consents.projections import count_consents
from app.operations.service.show_home import record_job_run
from tests.jobs.tasks import tasks_of, work_on
from tests.support.api import TestClock, running, utc
from tests.support.pools import in_a_pool, in_a_session

NOW = utc("2026-06-15T10:00:00Z")


@pytest.fixture
def told(database):
    """Run a story with what tasks work with, on a clock that stands at `NOW`."""
    return lambda story: in_a_pool(database, lambda pool: story(work_on(database, pool)), clock=TestClock(NOW))


def test_the_task_counts(database):
    """The task of the jobs process, run as it runs it, leaves numbers to show."""
    with running(database) as api:
        api.agreed("ads", "alice", "bob")

    in_a_pool(database, lambda pool: tasks_of(database, pool)["figures.consents"].func(timestamp=0))
    consents = in_a_session(database, lambda session: load_figure(session, "consents"))
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
        return await is_time(work)

    assert told(story) is again


@pytest.mark.parametrize(("ago", "again"), [(timedelta(minutes=9), False), (timedelta(minutes=10), True)])
def test_a_count_that_failed_is_left_alone(told, ago, again):
    """After a failure there is no count for ten minutes."""

    async def story(work):
        async with work.database.write() as session:
            await record_job_run(session, JobRun(CONSENTS, NOW - ago, timedelta(seconds=30), error="QueryCanceled"))
        return await is_time(work)

    assert told(story) is again


def test_one_counts_at_a_time(told):
    """While one process counts, another leaves it to it."""

    async def story(work):
        async with work.database.write() as first, work.database.write() as second:
            assert await first.take_turn(f"figure {FIGURE}")
            return await count_consents(second, PeriodPolicy())

    assert told(story) is None
