"""`sceau proof replay`: decide again what was logged, and compare."""

from typing import TYPE_CHECKING

import typer

from app.cli.connecting import DataOption, at_length
from app.cli.output import Since, Until, refuse_reversed, utc

if TYPE_CHECKING:
    from app.db.database import Database
    from app.operations.proof.replay_decisions import BatchReport, ReplayReport

_SHOWN = 20
_WRONG = 1
_INCOMPLETE = 3


def proof_replay(since: Since, until: Until, data: DataOption = None) -> None:
    """Decide again what was logged, on what was known then. Exit 0 all the same, 1 one differs, 3 some cannot be."""
    import sys

    from app.operations.proof.replay_decisions import compare_batches, replay_decisions
    from app.settings import Settings
    from app.wiring.parts import deployment_of

    refuse_reversed(since, until)

    def tell(number: int) -> None:
        if sys.stderr.isatty():
            typer.echo(f"\r{number:,} decisions …", nl=False, err=True)

    async def replay(database: "Database") -> "tuple[ReplayReport, BatchReport]":
        vault = deployment_of(Settings.load()).vault
        async with database.read() as session:
            decided = await replay_decisions(session, vault, utc(since), utc(until), tell)
            return decided, await compare_batches(session, utc(since), utc(until))

    report, batches = at_length(data, replay)
    if sys.stderr.isatty():
        typer.echo("\r", nl=False, err=True)
    _say_of_batches(batches)
    _say(report)
    wrong = bool(report.different or batches.altered)
    raise typer.Exit(_WRONG if wrong else _INCOMPLETE if report.left or batches.dropped else 0)


def _say(report: "ReplayReport") -> None:
    for each in report.different[:_SHOWN]:
        said = ", ".join(f"{name} {logged} in the log, {now} now" for name, (logged, now) in each.columns.items())
        typer.echo(f"DIFFERENT: {each.id}: {said}")
    if len(report.different) > _SHOWN:
        typer.echo(f"DIFFERENT: {len(report.different) - _SHOWN} more")
    for why, number in report.left.most_common():
        typer.echo(f"NOT REPRODUCIBLE: {number}: {why}")
    typer.echo(
        f"{report.decisions} decisions, {report.reproduced} reproduced, {len(report.different)} different, "
        f"{report.left.total()} not reproducible"
    )


def _say_of_batches(batches: "BatchReport") -> None:
    for altered in batches.altered[:_SHOWN]:
        typer.echo(f"ALTERED: {altered}")
    if batches.dropped:
        typer.echo(f"NOT LOGGED: {batches.dropped} decisions: the log was full, or refused them")
    if batches.since is None or batches.until is None:
        typer.echo("No batch in the log speaks of this time: that rows are as they were written is not shown.")
        return
    typer.echo(
        f"Batches from {batches.since:%Y-%m-%d %H:%M} to {batches.until:%Y-%m-%d %H:%M}: {batches.same} agree, "
        f"{batches.retired} of days that were dropped, {len(batches.altered)} altered"
    )
