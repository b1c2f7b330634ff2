"""A sweep at once, by the jobs process that is running: it comes by itself too, but only each minute."""

import contextlib
import json
from pathlib import Path

import procrastinate
import psycopg
from procrastinate.exceptions import AlreadyEnqueued

from tests.faults.service import eventually

TASK = "renewals.sweep"
_LEFT = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = %s AND status IN ('todo', 'doing')"


def sweep(data: Path) -> None:
    """Put one more run of the sweep into the queue of the service on a data directory; returns once it has ended.

    It is the same task, with the same lock, as the one that comes each minute; when that one waits already, it will do.
    """
    url = json.loads((data / "running.json").read_text())["environment"]["SCEAU_DATABASE_URL"]
    with (
        procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=url)).open() as queue,
        contextlib.suppress(AlreadyEnqueued),
    ):
        queue.configure_task(TASK, queue=TASK, queueing_lock=TASK).defer(timestamp=0)
    with psycopg.connect(url, autocommit=True) as connection:
        eventually(lambda: connection.execute(_LEFT, [TASK]).fetchone() == (0,))
