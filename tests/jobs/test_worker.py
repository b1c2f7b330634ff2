import asyncio
import time
from contextlib import asynccontextmanager

import procrastinate
import psycopg
import pytest

from app.audit.figures import latest_runs
from app.db.database import Database
from app.jobs import work as module
from app.jobs.tasks import make_jobs, take_back_stalled
from app.jobs.work import RunOutcome, periodic, recorded, run_jobs
from app.wiring.jobs import work_until
from tests.faults.service import HANGS
from tests.jobs.tasks import work_on
from tests.support.api import settings_for
from tests.support.databases import APP_ROLE, administrator_url


@pytest.fixture
def work(database):
    """What tasks work with, on this test's database."""
    return work_on(database, Database(database.app_url))


@asynccontextmanager
async def held(database, work):
    """A connection to the database; at the end what tasks worked with is closed, and what they wrote is seen."""
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        try:
            yield connection
        finally:
            await work.database.close()


async def until(condition):
    """Wait for something that must come to be."""
    deadline = time.monotonic() + 60
    while not (value := await condition()):
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.05)
    return value


def test_every_task_is_tried_again(database, work):
    """No task is registered without a way to be tried again, the library's own aside."""
    tasks = {task for task in make_jobs(database.app_url, work).tasks.values() if "builtin" not in task.name}
    assert {task.name for task in tasks} >= {"jobs.take_back", "jobs.clean", "links.remove_ended"}
    assert [task.name for task in tasks if task.retry_strategy is None] == []


async def _taken_back(database, work):
    """The run of `jobs.take_back`, as recorded, by a worker that is then told to end, and does."""
    stopping = asyncio.Event()
    working = asyncio.create_task(run_jobs(lambda: make_jobs(database.app_url, work), stopping))

    async def ran():
        async with work.database.read() as session:
            return {each.task: each for each in await latest_runs(session)}.get("jobs.take_back")

    run = await until(ran)
    stopping.set()
    assert await working is True
    return run


async def test_a_worker_runs_jobs_and_stops_in_time(database, work):
    """As the application role, a worker runs a periodic task, records the run, and ends when told to."""
    async with held(database, work) as connection:
        job = await _taken_back(database, work)
        assert (job.runs, job.failures, job.last_error) == (1, 0, None)
        assert connection.execute("SELECT count(*) FROM procrastinate_workers").fetchone() == (0,)


async def test_a_stop_gives_deliveries_back_at_once(database, monkeypatch):
    """The task that lasts a minute does not use up the time that a stop allows, and is to be done again."""
    monkeypatch.setattr(module, "_FINISH_SECONDS", 3_600.0)
    monkeypatch.setattr(module, "_DEADLINE_SECONDS", 3_600.0)

    def delivering():
        task = "SELECT status::text FROM procrastinate_jobs WHERE task_name = 'events.deliver'"
        return connection.execute(task).fetchall()

    async def begun():
        return delivering() == [("doing",)]

    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        stopping = asyncio.Event()
        working = asyncio.create_task(work_until(settings_for(database), stopping, chance=lambda: 0.0))
        await until(begun)
        stopping.set()
        assert await asyncio.wait_for(working, HANGS) is True
        assert delivering() == [("todo",)]


async def test_a_failed_run_is_recorded_and_raised(database, work):
    """A run that fails is counted with the class of its error, never with its message; the next one keeps both."""

    async def fails(_work):
        raise ValueError("alice@example.fr")

    async with held(database, work):
        with pytest.raises(ValueError, match="alice"):
            await recorded(work, "some", fails)
        await recorded(work, "some", _three)
        async with work.database.read() as session:
            (run,) = await latest_runs(session)
    assert (run.runs, run.failures, run.flagged, run.last_error) == (2, 1, 3, "ValueError")
    assert "alice" not in repr(run)


async def _three(_work):
    return RunOutcome(flagged=3)


@pytest.fixture
def jobs(database, work):
    """An application with one periodic task more, which is to fail loudly if it is ever run."""
    app = make_jobs(database.app_url, work)

    async def never(_work):
        raise AssertionError

    periodic(app, work, "some", "* * * * *", never)
    return app


async def _hold_by_a_dead_worker(app, connection):
    """Put a job into the hands of a worker that has not been heard of for an hour."""
    job = await app.configure_task("some", queueing_lock="some", queue="sceau").defer_async(timestamp=0)
    worker = connection.execute(
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id"
    ).fetchone()[0]
    connection.execute("SELECT procrastinate_fetch_job_v2(NULL, %s)", [worker])
    return job


def _states(connection):
    return dict(connection.execute("SELECT id, status::text FROM procrastinate_jobs").fetchall())


async def test_a_dead_workers_job_is_taken_back(database, work, jobs):
    """A job that a killed worker held waits in the queue again."""
    async with held(database, work) as connection, jobs.open_async():
        job = await _hold_by_a_dead_worker(jobs, connection)
        assert _states(connection) == {job: "doing"}
        assert await take_back_stalled(jobs) == 1
        assert _states(connection) == {job: "todo"}


async def test_one_whose_like_waits_is_not_put_beside_it(database, work, jobs):
    """When the next run of a periodic task waits already, the dead worker's one is ended, and nothing fails."""
    async with held(database, work) as connection, jobs.open_async():
        await _hold_by_a_dead_worker(jobs, connection)
        waiting = await jobs.configure_task("some", queueing_lock="some", queue="sceau").defer_async(timestamp=1)
        assert await take_back_stalled(jobs) == 1
        assert _states(connection) == {waiting: "todo"}


async def test_a_living_workers_job_is_left_to_it(database, work, jobs):
    """Control: a job whose worker was heard of is not taken from it."""
    async with held(database, work) as connection, jobs.open_async():
        job = await _hold_by_a_dead_worker(jobs, connection)
        connection.execute("UPDATE procrastinate_workers SET last_heartbeat = now()")
        assert await take_back_stalled(jobs) == 0
        assert _states(connection) == {job: "doing"}


async def test_a_job_of_a_later_version_is_left_to_it(database, work):
    """A task that this version does not know stays in its queue; one that it knows is run, beside it."""
    async with held(database, work) as connection:
        app = make_jobs(database.app_url, work)
        later = procrastinate.App(connector=app.connector)
        later.task(name="later.task", queue="later.task")(_three)
        async with later.open_async():
            left = await later.configure_task("later.task", queue="later.task").defer_async()
        await _taken_back(database, work)
        assert _states(connection)[left] == "todo"


def test_a_lost_database_is_waited_for(database, work, monkeypatch):
    """Jobs go on in the same process when the database that was away is back."""
    monkeypatch.setattr(module, "_FINISH_SECONDS", 0.1)
    stopping, made = asyncio.Event(), []

    def make():
        made.append(make_jobs(database.app_url, work))
        return made[-1]

    async def lost_and_back():
        async with held(database, work):
            working = asyncio.create_task(run_jobs(make, stopping))
            await until(lambda: _workers(database))
            _reachable(database, allowed=False)
            await until(lambda: _true(len(made) > 1))
            _reachable(database, allowed=True)
            before = await _workers(database)
            await until(lambda: _workers(database, above=before))
            stopping.set()
            return await working

    # In a loop of its own: a job that runs when the database goes fails too, which the loop of other tests forbids.
    assert asyncio.run(lost_and_back()) is True


async def _true(fact):
    return fact


async def _workers(database, above=0):
    """The highest number that a worker registered under, when it is above one."""
    with psycopg.connect(database.owner_url) as connection:
        row = connection.execute("SELECT max(id) FROM procrastinate_workers").fetchone()
    highest = (row and row[0]) or 0
    return highest if highest > above else 0


def _reachable(database, *, allowed):
    """Let the application role connect, or not; what it has open is ended then."""
    with psycopg.connect(administrator_url("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT {-1 if allowed else 0}")
        if not allowed:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = %s",
                [database.name, APP_ROLE],
            )
