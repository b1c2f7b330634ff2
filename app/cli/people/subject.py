"""`sceau subject export`: everything about one person, for that person."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.connecting import DataOption, connected
from app.cli.files import written_whole
from app.cli.people.typed_id import typed_id

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
    from app.wiring.parts import deployment_of

    name = SubjectName(kind, typed_id())

    async def export(database: "Database") -> dict[str, Any]:
        settings = Settings.load()
        async with database.write() as session:
            service = str(settings.public_url)
            return await export_subject(session, deployment_of(settings), None, name, service=service)

    told = connected(data, export)
    with written_whole(output) as sink:
        json.dump(told, sink, ensure_ascii=False, indent=2)
    if not any(told[each] for each in ("events", "consent_links", "looked_at", "decisions_by_day")):
        typer.echo("Nothing is held about this id: check how it is written.", err=True)
    number = len(told["events"])
    typer.echo("1 event exported." if number == 1 else f"{number} events exported.", err=True)
