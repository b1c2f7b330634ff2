"""The Procrastinate application, and its worker: a lost database is waited for, and a stop ends within its deadline."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import procrastinate
import structlog

from app.db.connections import connection_settings
from app.jobs import tasks
from app.jobs.work import Work
from app.telemetry.logs import describe

_CONNECTIONS: Final = 4
_STATEMENT_SECONDS: Final = 5.0


def make_jobs(url: str, work: Work) -> procrastinate.App:
    """The application, not opened yet.

    Args:
        url: DSN of the application role, not through a pooler: workers listen on one of its connections.
        work: what the tasks work with.

    """
    connector = procrastinate.PsycopgConnector(
        kwargs=connection_settings(url, statement_seconds=_STATEMENT_SECONDS),
        min_size=1,
        max_size=_CONNECTIONS,
        timeout=_STATEMENT_SECONDS,
    )
    app = procrastinate.App(connector=connector)
    tasks.install_upkeep(app, work)
    tasks.install_links(app, work)
    tasks.install_events(app, work)
    tasks.install_renewals(app, work)
    tasks.install_figures(app, work)
    tasks.install_proof(app, work)
    tasks.install_stamps(app, work)
    return app


_AT_ONCE: Final = 4
_FINISH_SECONDS: Final = 5.0
_DEADLINE_SECONDS: Final = 6.0
_QUEUE_OF_BEFORE: Final = "sceau"
"""Where versions before 0.2 put every job."""
_PAUSES: Final = (0.5, 1.0, 2.0, 5.0)

log = structlog.get_logger("sceau.jobs")


async def run_jobs(make: Callable[[], procrastinate.App], stopping: asyncio.Event) -> bool:
    """Work, and begin anew whenever the database was lost, until `stopping` is set.

    What is being done then has five seconds to finish; what has not is given back, to be done again by another.

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
            queues=sorted({task.queue for task in app.tasks.values()} | {_QUEUE_OF_BEFORE}),
            concurrency=_AT_ONCE,
            install_signal_handlers=False,
            delete_jobs="successful",
            shutdown_graceful_timeout=_FINISH_SECONDS,
        )
