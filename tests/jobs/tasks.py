"""What the jobs process works with, on a test's database."""

from typing import Any

from app.db.database import Database
from app.jobs.tasks import make_jobs
from app.jobs.work import Work
from app.wiring.parts import deployment_of
from tests.support.api import settings_for
from tests.support.databases import TestDatabase


def work_on(database: TestDatabase, pool: Database) -> Work:
    """What tasks work with."""
    return Work(pool, deployment_of(settings_for(database)))


def tasks_of(database: TestDatabase, pool: Database) -> dict[str, Any]:
    """The tasks of the jobs process, by name, to be run by hand."""
    return dict(make_jobs(database.app_url, work_on(database, pool)).tasks)
