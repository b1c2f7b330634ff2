"""`sceau status`: what runs on a deployment's database, and how far behind anything is."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from app.cli.connecting import DataOption, connected
from app.cli.output import JsonOption, echo_json

if TYPE_CHECKING:
    from app.db.database import Database
    from app.db.session import ReadSession


def status(as_json: JsonOption = False, data: DataOption = None) -> None:  # noqa: FBT002
    """Show version, schema, workers and their lag, jobs' last runs, the log's delay, journal and epoch."""

    async def read(database: "Database") -> dict[str, Any]:
        async with database.read() as session:
            return await _read(session)

    told = connected(data, read)
    if as_json:
        echo_json(told)
    else:
        _say(told)


async def _read(session: "ReadSession") -> dict[str, Any]:
    from importlib.metadata import version

    from app.audit.job_runs import latest_runs
    from app.db.revisions import current_revision, known_revisions
    from app.journal.store import load_epoch
    from app.proof.store import merge_delay, size_of_log
    from app.settings import Settings
    from app.snapshot.tables import list_replicas

    settings = Settings.load()
    replicas = await list_replicas(session)
    now = await session.now()  # after the rows: an age is never negative
    return {
        "version": version("sceau"),
        "schema": {"database": await current_revision(session), "code": known_revisions()[-1]},
        "mode": settings.cache.value,
        "replicas": [
            {"about": each.about, "lag_seconds": _seconds(now, each.seen_at), "lease": each.lease} for each in replicas
        ],
        "jobs": [
            {
                "task": each.task,
                "last_started_at": each.last_started_at,
                "backlog": each.backlog,
                "error": each.last_error,
            }
            for each in await latest_runs(session)
        ],
        "log": {"entries": await size_of_log(session), "merge_delay_seconds": round(await merge_delay(session), 1)},
        "journal": settings.journal_directory is not None or settings.journal_hook is not None,
        "epoch": await load_epoch(session),
    }


def _seconds(now: datetime, then: datetime) -> float:
    return round(max(0.0, (now - then).total_seconds()), 3)


def _say(told: dict[str, Any]) -> None:
    schema = told["schema"]
    ahead = "" if schema["database"] == schema["code"] else f" (this version's is {schema['code']})"
    typer.echo(f"Sceau {told['version']}; schema {schema['database']}{ahead}; mode {told['mode']} (as set here)")
    for each in told["replicas"]:
        typer.echo(f"worker {each['about']}: heard {each['lag_seconds']:.1f} s ago")
    if not told["replicas"]:
        typer.echo("no worker decides from memory")
    for each in told["jobs"]:
        ended = f"failed ({each['error']})" if each["error"] else "ended well"
        typer.echo(
            f"job {each['task']}: last {each['last_started_at']:%Y-%m-%d %H:%M:%S}, {ended}, {each['backlog']} left"
        )
    if not told["jobs"]:
        typer.echo("no job has run yet")
    log = told["log"]
    typer.echo(f"log: {log['entries']} entries, the next one waits for {log['merge_delay_seconds']} s")
    typer.echo(f"journal: {'kept' if told['journal'] else 'not kept here'}; epoch {told['epoch']}")
