"""`sceau doctor`: look at a whole deployment, and say of each part how it is and what to do."""

import asyncio
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from app.cli.checks.contents import content_checks
from app.cli.checks.databases import application_checks, owner_checks, pooler_checks
from app.cli.checks.results import CheckResult, Grade, ok, tell, wrong
from app.cli.checks.surroundings import address_check, directory_checks, issuer_checks
from app.cli.connecting import DataOption, connected, deployment, settings_here
from app.cli.output import JsonOption, echo_json
from app.cli.probe import probe
from app.cli.words import WordGroup

if TYPE_CHECKING:
    from app.db.database import Database
    from app.db.session import ReadSession
    from app.settings import Settings


doctor = typer.Typer(cls=WordGroup, invoke_without_command=True)
doctor.command()(probe)


@doctor.command("settings")
def config_check(as_json: JsonOption = False) -> None:  # noqa: FBT002
    """Say of every wrong or missing setting what is wrong and how to mend it. Exit 1 if there is one.

    It reads SCEAU_… and the files that SCEAU_…_FILE name, connects to nothing, and prints no value.
    """
    from app.settings.required import settings_errors

    errors = settings_errors(os.environ)
    if as_json:
        echo_json({"errors": errors})
    else:
        for error in errors:
            typer.echo(error)
        counted = "1 setting is" if len(errors) == 1 else f"{len(errors)} settings are"
        typer.echo(f"{counted} wrong." if errors else "Every setting is as it should be.", err=True)
    if errors:
        raise typer.Exit(1)


@doctor.command()
def status(as_json: JsonOption = False, data: DataOption = None) -> None:  # noqa: FBT002
    """Show version, schema, workers and their lag, jobs' last runs, the log's delay, journal and epoch."""

    async def read(database: "Database") -> dict[str, Any]:
        async with database.read() as session:
            return await _read_status(session)

    report = connected(data, read)
    if as_json:
        echo_json(report)
    else:
        _say(report)


async def _read_status(session: "ReadSession") -> dict[str, Any]:
    from importlib.metadata import version

    from app.audit.figures import latest_runs
    from app.db.revisions import current_revision, known_revisions
    from app.journal.store import load_epoch
    from app.proof.store import merge_delay, size_of_log
    from app.snapshot.tables import list_replicas

    settings = settings_here()
    replicas = await list_replicas(session)
    now = await session.now()  # after the rows: an age is never negative
    return {
        "version": version("sceau"),
        "schema": {"database": await current_revision(session), "code": known_revisions()[-1]},
        "mode": settings.cache.value,
        "replicas": [
            {
                "about": replica.about,
                "lag_seconds": round(max(0.0, (now - replica.seen_at).total_seconds()), 3),
                "lease": replica.lease,
            }
            for replica in replicas
        ],
        "jobs": [
            {
                "task": run.task,
                "last_started_at": run.last_started_at,
                "backlog": run.backlog,
                "error": run.last_error,
            }
            for run in await latest_runs(session)
        ],
        "log": {"entries": await size_of_log(session), "merge_delay_seconds": round(await merge_delay(session), 1)},
        "journal": settings.state_directory is not None or settings.journal_hook is not None,
        "epoch": await load_epoch(session),
    }


def _say(report: dict[str, Any]) -> None:
    schema = report["schema"]
    ahead = "" if schema["database"] == schema["code"] else f" (this version's is {schema['code']})"
    typer.echo(f"Sceau {report['version']}; schema {schema['database']}{ahead}; mode {report['mode']} (as set here)")
    for replica in report["replicas"]:
        typer.echo(f"worker {replica['about']}: heard {replica['lag_seconds']:.1f} s ago")
    if not report["replicas"]:
        typer.echo("no worker decides from memory")
    for job in report["jobs"]:
        ended = f"failed ({job['error']})" if job["error"] else "ended well"
        typer.echo(
            f"job {job['task']}: last {job['last_started_at']:%Y-%m-%d %H:%M:%S}, {ended}, {job['backlog']} left"
        )
    if not report["jobs"]:
        typer.echo("no job has run yet")
    log = report["log"]
    typer.echo(f"log: {log['entries']} entries, the next one waits for {log['merge_delay_seconds']} s")
    typer.echo(f"journal: {'kept' if report['journal'] else 'not kept here'}; epoch {report['epoch']}")


@doctor.callback()
def examine(context: typer.Context, as_json: JsonOption = False, data: DataOption = None) -> None:  # noqa: FBT002
    """Check settings, database, keys, clocks, disk and neighbours, one line each. Exit 1 when something is wrong.

    It changes nothing, sends nothing to receivers, and prints no secret and no id of a person. With a command behind
    it, only that is done.
    """
    if context.invoked_subcommand is not None:
        if as_json or data is not None:
            raise typer.BadParameter(f"options stand behind `{context.invoked_subcommand}`")
        return
    import structlog

    from app.telemetry.logs import say_warnings

    # The results alone report what is found, so the log is silenced; libraries' warnings are not, and show no secret.
    say_warnings()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with deployment(data):
        tell(_examined(), as_json=as_json)


def _examined() -> Iterator[CheckResult]:
    from app.settings.required import settings_errors

    if errors := settings_errors(os.environ):
        yield from (wrong("settings", each, "mend it; nothing else was looked at") for each in errors)
        return
    from app.settings.required import required

    yield ok("settings", "all are as they should be")
    settings = settings_here()
    url = required(settings.database_url, "database_url")
    of_database = list(application_checks(settings, url))
    yield from of_database
    if any(each.check == "database" and each.grade is Grade.OK for each in of_database):
        yield from pooler_checks(settings, url)
    yield from owner_checks(settings)
    yield from asyncio.run(_read(settings))
    yield from directory_checks(settings)


async def _read(settings: "Settings") -> list[CheckResult]:
    """Make the checks that need an event loop: of the database's contents, the issuers and the public address."""
    from app.db.database import DatabaseUnavailableError
    from app.db.refusals import DatabaseRefusedError, refusals_told
    from app.keyring import DECISION_KEYS, keys_in_force
    from app.settings.required import required
    from app.wiring.parts import database_of

    results: list[CheckResult] = []
    database, keys = database_of(settings), set[str]()
    try:
        with refusals_told(required(settings.database_url, "database_url")):
            async with database.read() as session:
                async for result in content_checks(session, settings):
                    results.append(result)  # noqa: PERF401 - results before a failure are kept
                if all(result.check != "schema" or result.grade is Grade.OK for result in results):
                    in_force = await keys_in_force(session, DECISION_KEYS, await session.instant())
                    keys = {str(key.id) for key in in_force}
    except (DatabaseUnavailableError, DatabaseRefusedError):
        results.append(wrong("contents", "the database could not be read", "mend what is said of it above"))
    finally:
        await database.close()
    results += [result async for result in issuer_checks(settings)]
    results.append(await address_check(settings, keys))
    return results
