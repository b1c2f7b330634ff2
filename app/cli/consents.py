"""`sceau consents`: what people said, imported, compared with the ledger, asked about, and kept for its time."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.connecting import DataOption, connected
from app.cli.evaluate import evaluate
from app.cli.imports import import_files
from app.cli.output import JsonOption, echo_json
from app.cli.progress import progress
from app.cli.retention import retention
from app.cli.words import group

if TYPE_CHECKING:
    from app.db.database import Database

consents = group("Import consents, check them against the ledger, ask a question, keep proof for its time.")
consents.command("import")(import_files)
consents.command()(evaluate)
consents.add_typer(retention, name="retention")


@consents.command()
def rebuild(
    check: Annotated[bool, typer.Option("--check", help="Only compare; exit 1 when something differs.")] = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
    data: DataOption = None,
) -> None:
    """Compare the consent projection with the ledger, and write again what differs."""
    from app.operations.consents.projections import rebuild_projection

    async def run(database: "Database") -> tuple[int, int]:
        subjects = differing = 0
        with progress() as bar:
            async for each in rebuild_projection(database, repair=not check):
                subjects, differing = each.subjects, each.differing
                bar.tell(each.share, f"{subjects:,} subjects, {differing:,} rows differ")
        return subjects, differing

    subjects, differing = connected(data, run)
    verb = "differ" if check else "differed and were written again"
    if as_json:
        echo_json({"subjects": subjects, "differing": differing, "repaired": not check})
    else:
        typer.echo(f"{subjects} subjects compared; {differing} consents {verb}.")
    if check and differing:
        raise typer.Exit(1)
