"""`sceau register export`: the record of processing activities of GDPR 30, for a DPO."""

import csv
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.connecting import DataOption, connected
from app.cli.files import written_whole

if TYPE_CHECKING:
    from app.db.database import Database
    from app.operations.register.record_of_activities import Activity

register = typer.Typer(no_args_is_help=True, help="The register of processings.")


class RecordFormat(StrEnum):
    """What the record is written as."""

    CSV = "csv"
    JSON_LD = "json-ld"


class RecordLanguage(StrEnum):
    """Of headings and texts."""

    FR = "fr"
    EN = "en"


@register.callback()
def _group() -> None:
    """Keep `export` a command of its own."""


@register.command("export")
def register_export(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; - for standard output.")],
    form: Annotated[
        RecordFormat, typer.Option("--format", help="For a spreadsheet, or for software.")
    ] = RecordFormat.CSV,
    language: Annotated[RecordLanguage, typer.Option("--language", help="Of headings and texts.")] = RecordLanguage.FR,
    data: DataOption = None,
) -> None:
    """Write the record of processing activities (GDPR art. 30), in the order of that article."""
    from app.operations.register.export_register import export_register
    from app.operations.register.record_of_activities import COLUMNS, safe_cell
    from app.register.vocabulary import CONTEXT

    async def export(database: "Database") -> "list[Activity]":
        async with database.read() as session:
            return await export_register(session)

    activities = connected(data, export)
    with written_whole(output) as sink:
        if form is RecordFormat.JSON_LD:
            processes = [each.json_ld(language.value) for each in activities]
            json.dump(
                {"@context": CONTEXT, "@type": "dpv:ROPA", "dpv:hasProcess": processes},
                sink,
                ensure_ascii=False,
                indent=2,
            )
        else:
            sink.write("\ufeff")  # by it a spreadsheet knows UTF-8
            rows = csv.writer(sink, delimiter=";")
            rows.writerow([words[language is RecordLanguage.EN] for words in COLUMNS.values()])
            for each in activities:
                rows.writerow([safe_cell(cell) for cell in each.row(language.value).values()])
    typer.echo(f"{len(activities)} processings exported.", err=True)
