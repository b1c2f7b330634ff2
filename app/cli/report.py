"""`sceau report`: what a data-protection officer reads of a month."""

from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.connecting import DataOption, at_length
from app.cli.output import written_whole
from app.cli.register import RecordLanguage

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
    language: Annotated[RecordLanguage, typer.Option("--language", help="Of the document.")] = RecordLanguage.FR,
    data: DataOption = None,
) -> None:
    """Write the report of a month: register, approvals, answers, lapses, decisions by reason, imports.

    It counts people's answers, and names none of them.
    """
    from app.core.errors import NotFoundError
    from app.operations.consents.projections import count_lapsing
    from app.operations.register.report import SOON, report_json, report_period
    from app.operations.staff import read_staff_coverage
    from app.pages.report import report_document
    from app.settings import Settings
    from app.wiring.parts import periods_of
    from app.words import Language

    async def read(database: "Database") -> "tuple[PeriodReport, Mapping[NoticeStanding, int] | None]":
        async with database.read() as session:
            since, until = _month(month, await session.now())
            lapsing = await count_lapsing(session, periods_of(Settings.load()), (until, until + SOON))
            told = await report_period(session, since, until, lapsing)
            try:
                return told, (await read_staff_coverage(session)).counts
            except NotFoundError:  # no notice was published
                return told, None

    told, staff = at_length(data, read)
    with written_whole(output) as sink:
        if form is ReportFormat.HTML:
            sink.write(report_document(told, staff, Language(language.value)))
        else:
            sink.write(report_json(told, staff))
    typer.echo(f"The report of {told.since + timedelta(days=1):%Y-%m} is written.", err=True)


def _month(asked: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """The instants at which a month begins and ends in Paris; the last whole month if none is asked for."""
    from app.core.article import PARIS
    from app.operations.register.report import month_of

    first = now.astimezone(PARIS).date().replace(day=1)
    if asked is not None and asked.date() > first:
        raise typer.BadParameter("--month: that month has not begun")
    return month_of(first - timedelta(days=1) if asked is None else asked.date())
