"""The Procrastinate application: where its jobs are kept, and every task that it knows."""

from typing import Final

import procrastinate

from app.db.connections import connection_settings
from app.jobs import tasks
from app.jobs.work import Work

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
