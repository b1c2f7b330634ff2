"""The service with a moved clock: `python -m tests.e2e.moved serve DATA PORT MOVED`.

The same application as `sceau serve` on an embedded server, with the jobs process beside it that `sceau serve` starts;
the clock of both is the database's, plus the seconds that the file MOVED holds. Production code knows nothing of it.
A clock of its own leaves no memory to decide from: each decision reads the primary, as with SCEAU_CACHE=strict.
Deliveries of webhooks keep to the true time, which their signatures name.
"""

import random
import signal
import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import uvicorn

from app import serving
from app.cli.data_directory import local_deployment
from app.db.owner_limits import owner_limits
from app.db.session import Clock
from app.main import create_app
from app.serving import jobs_process
from app.settings import Settings
from app.settings.required import required
from app.wiring import jobs as wired


class MovedClock(Clock):
    """The database's clock, moved."""

    def __init__(self, moved: Path) -> None:
        """Move it by what a file holds, read each time."""
        self._moved = moved

    def read(self, database_now: datetime) -> datetime:
        """The database's present, moved."""
        return database_now + timedelta(seconds=int(self._moved.read_text()))


def serve(data: Path, port: int, moved: Path) -> None:
    """Answer HTTP until SIGTERM, with the jobs process beside."""
    signal.signal(signal.SIGTERM, serving._terminate)
    vars(jobs_process)["_WORKER"] = ("-m", "tests.e2e.moved", "jobs", str(moved))
    with local_deployment(data, join=False), jobs_process.JobsProcess():
        # The database refuses what is recorded ahead of its clock, unless its owner tolerates it.
        owner = required(Settings.load().database_owner_url, "database_owner_url")
        owner_limits(owner, clock_tolerance=timedelta(days=36_500))
        app = create_app(Settings.load(), clock=MovedClock(moved))
        uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_config=None, server_header=False)


def jobs(moved: Path) -> None:
    """Run background jobs, beside the process whose environment this one has, until that one ends it."""
    vars(wired)["work_until"] = partial(wired.work_until, clock=MovedClock(moved))
    serving.work(Settings.load(), chance=random.random, beside=True)


def main() -> None:
    """Do what the first argument says."""
    if sys.argv[1] == "serve":
        data, port, moved = sys.argv[2:]
        serve(Path(data), int(port), Path(moved))
    else:
        jobs(Path(sys.argv[2]))


if __name__ == "__main__":
    main()
