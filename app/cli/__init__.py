"""The `sceau` command, over the same operations as the API.

It prints what a person needs and nothing secret, except a new key, once. A refusal is one line on standard error and
exit status 1; wrong usage or an unreadable file is 2.

Each command imports what it needs when it runs: FastAPI, SQLAlchemy and Alembic take two seconds to import, and the
help and golden cases need none of them.
"""

import json
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.about import InstallOption, ShowOption, VersionOption, prepare_completion, refusal, say_help, usage
from app.cli.checks.doctor import config, doctor, status
from app.cli.connecting import DataOption, connected, deployment, run
from app.cli.evaluate import evaluate
from app.cli.imports import import_files
from app.cli.keys import identities, keys
from app.cli.log import log
from app.cli.output import JsonOption, echo_json
from app.cli.people import links, subject
from app.cli.probe import probe
from app.cli.proof import proof
from app.cli.register import apply, register
from app.cli.remote import watch
from app.cli.report import report
from app.cli.restores import accept_restore, replay_journal, restore_check
from app.cli.retention import limits, retention
from app.cli.signing_keys import signing_keys
from app.cli.transfer import export, restore

if TYPE_CHECKING:
    from app.db.database import Database
    from app.settings import Settings

_INTERRUPTED = 130
_USAGE = 2
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,  # by options of our own (app.cli.about)
    pretty_exceptions_enable=False,
    help="Sceau: may this processing analyse this letter?",
)
app.command()(doctor)
app.command()(status)
app.add_typer(config, name="config")
app.command()(apply)
app.command()(watch)
app.add_typer(links, name="links")
app.command()(evaluate)
app.command("import")(import_files)
app.command()(export)
app.command()(restore)
app.command("restore-check")(restore_check)
app.command("replay-journal")(replay_journal)
app.command("accept-restore")(accept_restore)
app.command()(report)
app.command()(probe)
app.add_typer(subject, name="subject")
app.add_typer(register, name="register")
app.add_typer(keys, name="keys")
app.add_typer(identities, name="identities")
app.add_typer(limits, name="limits")
app.add_typer(retention, name="retention")
app.add_typer(signing_keys, name="signing-keys")
app.add_typer(proof, name="proof")
app.add_typer(log, name="log")


@app.callback()
def _options(
    _: VersionOption = False,  # noqa: FBT002
    _install: InstallOption = False,  # noqa: FBT002
    _show: ShowOption = False,  # noqa: FBT002
) -> None: ...


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    data: DataOption = None,
) -> None:
    """Run the service, on SCEAU_DATABASE_URL or on a data directory's own PostgreSQL."""
    from app.serving import check_free
    from app.serving import serve as serve_http
    from app.settings import Settings

    os.environ.setdefault("SCEAU_PUBLIC_URL", f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}")  # noqa: S104
    check_free(host, port)
    with deployment(data, join=False, make=True) as local:
        settings = Settings.load()
        _configure_logs(settings)
        _check(settings)
        _tell_what_does_not_protect(settings)
        typer.echo(
            f"Sceau listens on http://{host}:{port} (API page: http://{host}:{port}/docs). Ctrl-C stops it.", err=True
        )
        if local is not None:
            typer.echo(f"A key with every scope is in {local / 'keys' / 'bootstrap'}.", err=True)
        serve_http(host, port, workers, jobs=settings.jobs)


@app.command()
def worker(
    data: DataOption = None,
    beside: Annotated[bool, typer.Option("--beside", hidden=True, help="End with standard input.")] = False,  # noqa: FBT002
) -> None:
    """Run background jobs in this process: the sweep of consents that lapse, and what is sent. Several may run."""
    from app.db.refusals import refusals_told
    from app.serving import work
    from app.settings import Settings
    from app.settings.required import required

    with deployment(data):
        settings = Settings.load()
        _configure_logs(settings)
        with refusals_told(required(settings.database_url, "database_url"), "SCEAU_DATABASE_URL"):
            work(settings, chance=random.random, beside=beside)


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema, as its owner, and grant the application role its rights."""
    from app.db.migrate import migrate as migrate_database
    from app.settings import Settings
    from app.settings.required import required

    settings = Settings.load()
    owner = required(settings.database_owner_url, "database_owner_url")
    migrate_database(owner, required(settings.database_url, "database_url"))
    typer.echo("The database is at this version's schema.")


@app.command("test")
def run_golden_cases(
    files: Annotated[list[Path], typer.Argument(help="Golden-case files (YAML).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,  # noqa: FBT002
) -> None:
    """Run golden cases through the rules, with no database. Exit 1 on a failing case, 2 on an unreadable file."""
    from app.conformance.run import run_files

    raise typer.Exit(run_files(files, sys.stdout, as_json=as_json))


@app.command("rebuild-projection")
def rebuild_projection(
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit 1 when something differs.")] = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
    data: DataOption = None,
) -> None:
    """Compare the consent projection with the ledger, and write again what differs."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    from app.operations.consents.projections import rebuild_projection as rebuild

    async def run(database: "Database") -> tuple[int, int]:
        subjects = differing = 0
        columns = (SpinnerColumn(), TextColumn("{task.completed} subjects, {task.fields[differing]} rows differ"))
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None, differing=0)
            async for progress in rebuild(database, repair=not check):
                subjects, differing = progress.subjects, progress.differing
                bar.update(task, completed=subjects, differing=differing)
        return subjects, differing

    subjects, differing = connected(data, run)
    verb = "differ" if check else "differed and were written again"
    if as_json:
        echo_json({"subjects": subjects, "differing": differing, "repaired": not check})
    else:
        typer.echo(f"{subjects} subjects compared; {differing} consents {verb}.")
    if check and differing:
        raise typer.Exit(1)


@app.command()
def openapi() -> None:
    """Print the OpenAPI document; needs no database and no settings."""
    from app.main import create_app
    from app.settings import Settings

    placeholders: dict[str, Any] = {
        "database_url": "postgresql://nobody@localhost/none",
        "pseudonym_key": "00" * 32,
        "master_key": "00" * 32,
        "register_approval": "one",
        "durability": "local",
    }
    typer.echo(json.dumps(create_app(Settings(**placeholders)).openapi(), indent=2, ensure_ascii=False))


def _configure_logs(settings: "Settings") -> None:
    from app.telemetry.logs import configure_logs

    configure_logs(level=settings.log_level, as_json=not sys.stderr.isatty())


def _tell_what_does_not_protect(settings: "Settings") -> None:
    """Say in one line of the log what a service lacks that would protect it; `/readyz` says the same for as long."""
    import structlog

    from app.settings.required import unprotected

    if lacks := [each.note for each in unprotected(settings)]:
        structlog.get_logger("sceau").warning("not everything that protects is on", lacks=lacks)


def _check(settings: "Settings") -> None:
    """Refuse a wrong setting or database before anything listens, in words: a worker could only end."""
    from app.db.database import DatabaseUnavailableError
    from app.db.refusals import DatabaseRefusedError, takes_connections
    from app.main import create_app
    from app.operations.service.check_deployment import check_deployment, check_durability
    from app.settings.required import required
    from app.wiring.parts import deployment_of

    async def check(database: "Database") -> None:
        await check_durability(database)
        async with database.write() as session:
            await check_deployment(session, deployment_of(settings))

    create_app(settings)  # as the workers will
    try:
        run(settings, check)
    except (DatabaseRefusedError, DatabaseUnavailableError):
        has_file = settings.outage_file is not None and settings.outage_file.exists()
        if not has_file or takes_connections(required(settings.database_url, "database_url")):
            raise  # else the workers look whether what the file holds is good enough to start with


def main() -> None:
    """The console script."""
    if say_help(app, sys.argv[1:]):
        sys.exit(0)
    prepare_completion()
    try:
        # Not in typer's standalone mode, which prints wrong usage in a style of its own.
        sys.exit(app(prog_name="sceau", standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(_INTERRUPTED)
    except typer.TyperException as error:
        if said := usage(error):
            typer.echo(f"sceau: {said}", err=True)
        sys.exit(_USAGE)
    except Exception as error:
        refused = refusal(error)
        if refused is None:
            raise
        typer.echo(f"sceau: {refused}", err=True)
        sys.exit(1)
