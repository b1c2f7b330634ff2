"""`sceau report`: what a data-protection officer reads of a month."""

from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.connecting import DataOption, connected, settings_here
from app.cli.output import written_whole
from app.words import Language

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.core.staff import NoticeStanding
    from app.db.database import Database
    from app.operations.register.report import PeriodReport


class ReportFormat(StrEnum):
    """What the report is written as."""

    HTML = "html"
    JSON = "json"


def report(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; - for standard output.")],
    month: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m"], help="Such as 2026-10, in Paris. Without it: the last whole month."),
    ] = None,
    form: Annotated[
        ReportFormat, typer.Option("--format", help="To read and print, or for software.")
    ] = ReportFormat.HTML,
    language: Annotated[Language, typer.Option("--language", help="Of the document.")] = Language.FR,
    data: DataOption = None,
) -> None:
    """Write the report of a month: register, approvals, answers, lapses, decisions by reason, imports.

    It counts people's answers, and names none of them.
    """
    from app.core.article import PARIS
    from app.operations.register.report import report_json
    from app.pages.report import read_report, report_document
    from app.wiring.parts import periods_of

    async def read(database: "Database") -> "tuple[PeriodReport, Mapping[NoticeStanding, int] | None]":
        async with database.read() as session:
            first = (await session.now()).astimezone(PARIS).date().replace(day=1)
            if month is not None and month.date() > first:
                raise typer.BadParameter("--month: that month has not begun")
            wanted = first - timedelta(days=1) if month is None else month.date()
            return await read_report(session, periods_of(settings_here()), wanted)

    period_report, staff = connected(data, read, is_long=True)
    with written_whole(output) as sink:
        if form is ReportFormat.HTML:
            sink.write(report_document(period_report, staff, language))
        else:
            sink.write(report_json(period_report, staff))
    typer.echo(f"The report of {period_report.since + timedelta(days=1):%Y-%m} is written.", err=True)
