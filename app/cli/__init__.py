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

from app.cli.about import InstallOption, ShowOption, VersionOption, prepare_completion, say_help, usage
from app.cli.checks.doctor import doctor
from app.cli.connecting import DataOption, deployment, run, settings_here
from app.cli.consents import consents
from app.cli.keys import keys
from app.cli.log import log
from app.cli.people import people
from app.cli.proof import proof
from app.cli.recovery import recovery
from app.cli.register import register
from app.cli.report import report
from app.cli.words import RootGroup, reader_left
from app.core.errors import RefusalError

if TYPE_CHECKING:
    from app.db.database import Database
    from app.settings import Settings

_INTERRUPTED = 130
_USAGE = 2
app = typer.Typer(
    cls=RootGroup,
    no_args_is_help=True,
    add_completion=False,  # Sceau has options for it (app.cli.about)
    rich_markup_mode=None,  # rich takes a quarter of a second to import, and help is read by people who wait for it
    help="Sceau: may this processing analyse this letter? `sceau COMMAND --help` says more about each command.",
)
app.add_typer(doctor, name="doctor")
app.add_typer(keys, name="keys")
app.add_typer(recovery, name="recovery")
app.add_typer(register, name="register")
app.add_typer(people, name="people")
app.add_typer(consents, name="consents")
app.command()(report)
app.add_typer(log, name="log")
app.add_typer(proof, name="proof")


@app.callback()
def _options(
    _: VersionOption = False,  # noqa: FBT002
    _install: InstallOption = False,  # noqa: FBT002
    _show: ShowOption = False,  # noqa: FBT002
) -> None: ...


def _print_openapi(wanted: bool) -> None:  # noqa: FBT001
    if not wanted:
        return
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
    raise typer.Exit


@app.command()
def serve(  # noqa: PLR0917 - a command's options
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    jobs_only: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--jobs-only",
            help="Listen to nothing; run background jobs: the sweep of consents that lapse, and what is sent. "
            "Several such processes may run.",
        ),
    ] = False,
    beside: Annotated[bool, typer.Option("--beside", hidden=True, help="End with standard input.")] = False,  # noqa: FBT002
    _: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--openapi",
            is_eager=True,
            callback=_print_openapi,
            help="Print the OpenAPI document of the API, and nothing else; needs no database and no settings.",
        ),
    ] = False,
    data: DataOption = None,
) -> None:
    """Run the service, on SCEAU_DATABASE_URL or on a data directory's own PostgreSQL."""
    if jobs_only:
        _work(data, beside=beside)
        return
    import structlog

    from app.serving import check_free
    from app.serving import serve as serve_http
    from app.settings.required import unprotected

    os.environ.setdefault("SCEAU_PUBLIC_URL", f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}")  # noqa: S104
    check_free(host, port)
    with deployment(data, join=False, make=True) as local:
        settings = settings_here()
        _configure_logs(settings)
        _check(settings)
        if lacks := [each.note for each in unprotected(settings)]:  # `/readyz` reports them as long as they are lacking
            structlog.get_logger("sceau").warning("not everything that protects is on", lacks=lacks)
        typer.echo(
            f"Sceau listens on http://{host}:{port} (API page: http://{host}:{port}/docs). Ctrl-C stops it.", err=True
        )
        if local is not None:
            typer.echo(f"A key with every scope is in {local / 'keys' / 'bootstrap'}.", err=True)
        serve_http(host, port, workers, jobs=settings.jobs)


def _work(data: Path | None, *, beside: bool) -> None:
    """Run background jobs in this process."""
    from app.db.refusals import refusals_told
    from app.serving import work
    from app.settings.required import required

    with deployment(data):
        settings = settings_here()
        _configure_logs(settings)
        with refusals_told(required(settings.database_url, "database_url")):
            work(settings, chance=random.random, beside=beside)


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema, as its owner, and grant the application role its rights."""
    from app.db.migrate import migrate as migrate_database
    from app.settings.required import required

    settings = settings_here()
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


def _configure_logs(settings: "Settings") -> None:
    from app.telemetry.logs import configure_logs

    configure_logs(level=settings.log_level, as_json=not sys.stderr.isatty())


def _check(settings: "Settings") -> None:
    """Refuse a wrong setting or database in words before anything listens: a worker could only end."""
    from app.db.connections import refuses
    from app.db.database import DatabaseUnavailableError
    from app.db.refusals import DatabaseRefusedError
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
        if not has_file or refuses(required(settings.database_url, "database_url")):
            raise  # else the workers check whether they can start with what the file holds


def main() -> None:
    """The console script. Whatever ends it, no traceback is printed: that would quote messages, and so secrets."""
    try:
        status = _main()
        sys.stdout.flush()
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it is
        from app.telemetry.logs import say_fault

        status = 0
        if not isinstance(error, BrokenPipeError) or not reader_left():
            say_fault(error)
            status = 1
    sys.exit(status)


def _main() -> int:
    if say_help(app, sys.argv[1:]):
        return 0
    prepare_completion()
    try:
        # Typer's standalone mode is off, because it prints wrong usage in another style.
        return app(prog_name="sceau", standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except typer.TyperException as error:
        if line := usage(error):
            typer.echo(f"sceau: {line}", err=True)
        else:  # the help of a group that was called without a command
            typer.echo(error.format_message())
        return _USAGE
    except RefusalError as error:
        typer.echo(f"sceau: {error}", err=True)
        return 1
