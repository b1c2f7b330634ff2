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
    from app.settings.all_errors import settings_errors

    found = settings_errors(os.environ)
    if as_json:
        echo_json({"errors": found})
    else:
        for each in found:
            typer.echo(each)
        counted = "1 setting is" if len(found) == 1 else f"{len(found)} settings are"
        typer.echo(f"{counted} wrong." if found else "Every setting is as it should be.", err=True)
    if found:
        raise typer.Exit(1)


@doctor.command()
def status(as_json: JsonOption = False, data: DataOption = None) -> None:  # noqa: FBT002
    """Show version, schema, workers and their lag, jobs' last runs, the log's delay, journal and epoch."""

    async def read(database: "Database") -> dict[str, Any]:
        async with database.read() as session:
            return await _read_status(session)

    told = connected(data, read)
    if as_json:
        echo_json(told)
    else:
        _say(told)


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
                "about": each.about,
                "lag_seconds": round(max(0.0, (now - each.seen_at).total_seconds()), 3),
                "lease": each.lease,
            }
            for each in replicas
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
        "journal": settings.state_directory is not None or settings.journal_hook is not None,
        "epoch": await load_epoch(session),
    }


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
    from app.settings.all_errors import settings_errors

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

    found: list[CheckResult] = []
    database, keys = database_of(settings), set[str]()
    try:
        with refusals_told(required(settings.database_url, "database_url"), "SCEAU_DATABASE_URL"):
            async with database.read() as session:
                async for each in content_checks(session, settings):
                    found.append(each)  # noqa: PERF401 - results before a failure are kept
                if all(each.check != "schema" or each.grade is Grade.OK for each in found):
                    in_force = await keys_in_force(session, DECISION_KEYS, await session.instant())
                    keys = {str(each.id) for each in in_force}
    except (DatabaseUnavailableError, DatabaseRefusedError):
        found.append(wrong("contents", "the database could not be read", "mend what is said of it above"))
    finally:
        await database.close()
    found += [each async for each in issuer_checks(settings)]
    found.append(await address_check(settings, keys))
    return found
