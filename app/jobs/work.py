"""What every task shares: what it works with, how it is retried, the record of each run, and the worker.

Procrastinate stores and logs the arguments of jobs, so none may be an identifier of a subject or a correspondence, or
an e-mail address.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import procrastinate
import structlog

from app.audit.figures import JobRun
from app.db.database import Database, DatabaseUnavailableError
from app.operations.proof.append_entries import ProofPlan
from app.operations.service.deployment import Deployment
from app.operations.service.show_home import record_job_run
from app.operations.webhooks.deliver_webhooks import Courier
from app.proof.authority import TimeAuthority
from app.telemetry.logs import describe

RETRY: Final = procrastinate.RetryStrategy(max_attempts=5, wait=5, linear_wait=10)
"""How a failed run is retried: after 5, 15, 25, 35 and 45 seconds; a periodic task runs again by itself anyway."""

MINUTELY: Final = "* * * * *"
HOURLY: Final = "17 * * * *"

log = structlog.get_logger("sceau.jobs")


@dataclass(frozen=True, slots=True)
class Work:
    """What tasks work with; without a courier, no event is dispatched or delivered.

    `stopping` is set when this process is to stop: long tasks check it. `log` says how the log is kept that an outsider
    can check. `authority` is the time authority that stamps it, if any.
    """

    database: Database
    deployment: Deployment
    courier: Courier | None = None
    stopping: asyncio.Event | None = None
    log: ProofPlan | None = None
    authority: TimeAuthority | None = None

    @property
    def goes_on(self) -> bool:
        """Whether this process is not to stop yet."""
        return self.stopping is None or not self.stopping.is_set()


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The result of a run: how many things it dealt with, how many it knows to be left, and how many it gave up."""

    flagged: int = 0
    backlog: int = 0
    lost: int = 0


Run = Callable[[Work], Awaitable[RunOutcome]]


def periodic(app: procrastinate.App, work: Work, name: str, cron: str, run: Run) -> None:
    """Register a periodic task; while one run of it waits, no second run is queued behind it.

    Each task has its own queue, so a worker takes jobs of the tasks that it knows, and leaves those of later code.
    """

    @app.periodic(cron=cron)
    @app.task(name=name, queueing_lock=name, retry=RETRY, queue=name)
    async def task(timestamp: int) -> None:  # noqa: ARG001 - Procrastinate passes the minute it is for
        await recorded(work, name, run)


async def recorded(work: Work, task: str, run: Run) -> RunOutcome:
    """Run a task, and record its start, its duration and its result; an exception is recorded and raised again."""
    begun = time.monotonic()
    async with work.database.read() as session:
        started_at = await session.now()
    try:
        outcome = await run(work)
    except Exception as error:
        name = type(error).__name__
        log.warning("a job failed", task=task, cause=name)
        await _record(work, JobRun(task, started_at, _since(begun), error=name))
        raise
    await _record(work, JobRun(task, started_at, _since(begun), outcome.flagged, outcome.backlog, lost=outcome.lost))
    return outcome


def _since(begun: float) -> timedelta:
    return timedelta(seconds=time.monotonic() - begun)


async def _record(work: Work, run: JobRun) -> None:
    """Record a run. A record that cannot be written is only logged, since the run itself is over."""
    try:
        async with work.database.write() as session:
            await record_job_run(session, run)
    except DatabaseUnavailableError:
        log.warning("a run was not recorded", task=run.task)


# The worker of a process: it waits for a lost database, and a stop ends within its deadline.

_AT_ONCE: Final = 4
_FINISH_SECONDS: Final = 5.0
_DEADLINE_SECONDS: Final = 6.0
_PAUSES: Final = (0.5, 1.0, 2.0, 5.0)


async def run_jobs(make: Callable[[], procrastinate.App], stopping: asyncio.Event) -> bool:
    """Run jobs until `stopping` is set, beginning anew whenever the database was lost.

    At a stop, running jobs have five seconds to finish; unfinished ones are given back, to be done by another worker.

    Returns:
        Whether everything ended within the deadline of six seconds.

    """
    logging.getLogger("procrastinate").setLevel(logging.WARNING)  # it logs each step of each job
    stop = asyncio.create_task(stopping.wait())
    failures = 0
    while not stopping.is_set():
        loop = asyncio.get_running_loop()
        begun = loop.time()
        worker = asyncio.create_task(_work(make()))
        await asyncio.wait({worker, stop}, return_when=asyncio.FIRST_COMPLETED)
        if stopping.is_set():
            worker.cancel()
            ended, _ = await asyncio.wait({worker}, timeout=_DEADLINE_SECONDS)
            return bool(ended)
        failures = 0 if loop.time() - begun > max(_PAUSES) * 2 else failures + 1
        error = worker.exception()
        log.warning("jobs were interrupted", cause=describe(error) if error is not None else None)
        await asyncio.wait({stop}, timeout=_PAUSES[min(failures, len(_PAUSES) - 1)])
    return True


async def _work(app: procrastinate.App) -> None:
    async with app.open_async():
        await app.run_worker_async(
            queues=sorted({task.queue for task in app.tasks.values()}),
            concurrency=_AT_ONCE,
            install_signal_handlers=False,
            delete_jobs="successful",
            shutdown_graceful_timeout=_FINISH_SECONDS,
        )
