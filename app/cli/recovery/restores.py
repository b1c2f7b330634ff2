"""`sceau restore-check`, `replay-journal` and `accept-restore`: what a restored database lacks, and going on with it.

A backup forgets what was withdrawn after it was made. The service answers nothing that needs consent from a database
that was set back; these commands tell what is missing, record it again, and say when that is done.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from app.cli.connecting import DataOption, at_length
from app.cli.output import JsonOption, echo_json

if TYPE_CHECKING:
    from app.db.database import Database
    from app.journal.journal import Journal
    from app.journal.lines import KeptNote
    from app.operations.consents.restores.replay_journal import ReplayOutcome

_TOGETHER: Final = 500
_NOTHING_LOST: Final = "nothing: the journal was replayed"
_SEND_FIRST: Final = (
    "Some notes are about people or processings that this database does not know. If you import or register them "
    "again, replay the journal once more after that: a withdrawal is then recorded for them too."
)
Directories = Annotated[
    list[Path] | None,
    typer.Argument(
        help="The journal's directories, those of every host; without any, that of SCEAU_JOURNAL_DIRECTORY.",
        exists=True,
        file_okay=False,
        show_default=False,
    ),
]


def restore_check(
    directories: Directories = None,
    as_json: JsonOption = False,  # noqa: FBT002
    data: DataOption = None,
) -> None:
    """Say whether the database was set back, by its epoch and by the journal. Exits with 1 if it was."""
    from app.journal.store import EpochComparison, compare

    async def check(database: "Database") -> tuple[EpochComparison, int]:
        noted, missing = 0, 0
        async with database.read() as session:
            found = await compare(session, [])
            for part in _parts(_noted(directories)):
                found = await compare(session, part, known=found.known)
                noted, missing = noted + len(part), missing + found.missing
        return replace(found, missing=missing), noted

    found, noted = at_length(data, check)
    if as_json:
        echo_json(
            {"epoch": found.epoch, "known_epoch": found.known, "notes": noted, "missing": found.missing}
            | {"set_back": found.is_behind}
        )
    else:
        typer.echo(
            f"Epoch {found.epoch}; the journal knows epoch {found.known} and has {_counted(noted)}, "
            f"{found.missing} of this epoch not held here."
        )
    if found.is_behind:
        typer.echo("The database was set back: run `sceau replay-journal` with the journals of every host.", err=True)
        raise typer.Exit(1)


def replay_journal(
    directories: Directories = None,
    lost: Annotated[
        str | None, typer.Option(help="What is lost or was done by hand, in words without names of people.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be recorded.")] = False,  # noqa: FBT002
    data: DataOption = None,
) -> None:
    """Record again what the journal notes and the database lacks, and let the service answer from it.

    Give the journals of every host at once. It may be run again: what is held already is left alone.
    """
    from app.operations.consents.restores.replay_journal import ReplayOutcome, told_by_hand

    by_hand: list[str] = []

    async def replay(database: "Database") -> "Counter[ReplayOutcome]":
        counts: Counter[ReplayOutcome] = Counter()
        for part in _parts(_noted(directories)):
            became = await _replayed(database, part, keep=not dry_run)
            counts.update(became)
            by_hand.extend(
                told_by_hand(each) for each, is_ in zip(part, became, strict=True) if is_ is ReplayOutcome.BY_HAND
            )
        return counts

    counts = at_length(data, replay)
    for outcome, number in counts.items():
        typer.echo(f"{number} {outcome.value}")
    if counts[ReplayOutcome.NOBODY]:
        typer.echo(_SEND_FIRST, err=True)
    for each in by_hand:
        typer.echo(f"  by hand: {each}")
    if dry_run:
        return
    if by_hand and lost is None:
        typer.echo("Do these again, then say so: sceau accept-restore --lost '…'", err=True)
        raise typer.Exit(1)
    _accept(data, lost or _NOTHING_LOST, counts[ReplayOutcome.REPLAYED], len(by_hand))


def accept_restore(
    lost: Annotated[str, typer.Option(help="What is lost or was done by hand, in words without names of people.")],
    data: DataOption = None,
) -> None:
    """Say that a restore has been dealt with: the service answers from the database again. It stays in the trail."""
    _accept(data, lost, None, None)


def _accept(data: Path | None, lost: str, replayed: int | None, by_hand: int | None) -> None:
    from app.audit.origin import EntryPoint, Origin, arriving
    from app.journal.store import NewEpoch
    from app.operations.service.accept_restore import accept_restore

    async def accept(database: "Database") -> int:
        async with database.write() as session:
            number = await accept_restore(session, NewEpoch(lost, replayed, by_hand))
        await _journal().begin(number)
        return number

    with arriving(Origin(EntryPoint.COMMAND)):
        number = at_length(data, accept)
    typer.echo(f"Epoch {number} has begun: the service answers from this database again.")


class _NothingKeptError(Exception):
    """Ends the transaction of a dry run."""


async def _replayed(database: "Database", part: "Sequence[KeptNote]", *, keep: bool) -> "list[ReplayOutcome]":
    """What became of some notes, in one transaction; nothing of it is kept of a dry run."""
    became: list[ReplayOutcome] = []
    with suppress(_NothingKeptError):
        await _replay(database, part, became, keep=keep)
    return became


async def _replay(
    database: "Database", part: "Sequence[KeptNote]", became: "list[ReplayOutcome]", *, keep: bool
) -> None:
    from app.journal.store import load_epoch
    from app.journal.waiting import held_ids
    from app.operations.consents.restores.replay_journal import ReplayOutcome, replay_note

    async with database.write() as session:
        epoch, held = await load_epoch(session), await held_ids(session, [each.id for each in part])
        became.extend(
            [ReplayOutcome.HELD if each.id in held else await replay_note(session, each, epoch=epoch) for each in part]
        )
        if not keep:
            raise _NothingKeptError


def _journal() -> "Journal":
    from datetime import UTC, datetime

    from app.settings import Settings
    from app.wiring.deployment import journal_of

    return journal_of(Settings.load(), lambda: datetime.now(UTC))


def _noted(directories: Sequence[Path] | None) -> "Iterator[KeptNote]":
    """The notes of the journals, in the order in which they were kept, read as they are wanted: there may be many.

    Raises:
        JournalError: there is no journal, or it cannot be read.

    """
    from app.journal.files import lines_of
    from app.journal.lines import JournalError, read_line
    from app.settings import Settings
    from app.wiring.deployment import deployment_of

    settings = Settings.load()
    own = [settings.journal_directory] if settings.journal_directory is not None else []
    if not (read := directories or own):
        raise JournalError("there is no journal: name its directories, or set SCEAU_JOURNAL_DIRECTORY")
    vault = deployment_of(settings).vault
    each = [(read_line(line, vault) for line in lines_of(directory)) for directory in read]
    return heapq.merge(*each, key=lambda kept: kept.at)


def _parts(noted: "Iterator[KeptNote]") -> "Iterator[Sequence[KeptNote]]":
    while part := list(islice(noted, _TOGETHER)):
        yield part


def _counted(number: int) -> str:
    return "1 note" if number == 1 else f"{number} notes"
