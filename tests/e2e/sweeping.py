"""A sweep at once, by the jobs process that is running: it comes by itself too, but only each minute."""

import contextlib
import json
from pathlib import Path

import procrastinate
from procrastinate.exceptions import AlreadyEnqueued

TASK = "renewals.sweep"


def sweep_now(data: Path) -> None:
    """Put one more run of the sweep into the queue of the service on a data directory.

    It is the same task, with the same lock, as the one that comes each minute; when that one waits already, it will do.
    """
    url = json.loads((data / "running.json").read_text())["environment"]["SCEAU_DATABASE_URL"]
    with (
        procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=url)).open() as queue,
        contextlib.suppress(AlreadyEnqueued),
    ):
        queue.configure_task(TASK, queue="sceau", queueing_lock=TASK).defer(timestamp=0)
