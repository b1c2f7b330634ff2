"""`sceau subject export`: everything about one person, for that person."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.connecting import DataOption, connected
from app.cli.files import written_whole

if TYPE_CHECKING:
    from app.db.database import Database

subject = typer.Typer(no_args_is_help=True, help="What is held about one person.")


@subject.callback()
def _group() -> None:
    """Keep `export` a command of its own."""


@subject.command("export")
def subject_export(
    output: Annotated[Path, typer.Option("--output", "-o", help="The JSON to write.")],
    kind: Annotated[str, typer.Option("--type", help="The namespace of the id.")] = "user",
    data: DataOption = None,
) -> None:
    """Write everything about a person as JSON (GDPR art. 15 and 20). Standard input gives the id, in one line."""
    from app.operations.proof.export_subject import export_subject
    from app.operations.service.deployment import SubjectName
    from app.settings import Settings
    from app.wiring.deployment import deployment_of

    if sys.stdin.isatty():
        typer.echo("The id, in one line: ", nl=False, err=True)
    name = SubjectName(kind, sys.stdin.readline().strip())
    if not name.id:
        typer.echo("sceau: standard input gave no id: echo it into this command, or type it", err=True)
        raise typer.Exit(2)

    async def export(database: "Database") -> dict[str, Any]:
        settings = Settings.load()
        async with database.write() as session:
            service = str(settings.public_url)
            return await export_subject(session, deployment_of(settings), None, name, service=service)

    told = connected(data, export)
    with written_whole(output) as sink:
        json.dump(told, sink, ensure_ascii=False, indent=2)
    typer.echo(f"{len(told['events'])} events exported.", err=True)
