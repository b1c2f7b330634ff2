"""The Procrastinate application: where its jobs are kept, and every task that it knows."""

from typing import Final

import procrastinate

from app.db.connections import connection_settings
from app.jobs import events, figures, links, proof, renewals, stamps, upkeep
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
    upkeep.install(app, work)
    links.install(app, work)
    events.install(app, work)
    renewals.install(app, work)
    figures.install(app, work)
    proof.install(app, work)
    stamps.install(app, work)
    return app
