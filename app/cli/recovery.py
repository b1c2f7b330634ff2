"""`sceau recovery`: move a deployment to another database (`app.cli.transfer`), and deal with one that was restored.

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

from app.cli.connecting import DataOption, confirmed, connected, deployment, deployment_here, settings_here
from app.cli.output import JsonOption, echo_json, fail
from app.cli.progress import progress
from app.cli.transfer import export, restore
from app.cli.words import group

if TYPE_CHECKING:
    from uuid import UUID

    from app.db.database import Database
    from app.journal.store import KeptNote, NewEpoch
    from app.operations.consents.replay_journal import ReplayOutcome

_TOGETHER: Final = 500
_NOTHING_LOST: Final = "nothing: the journal was replayed"
_SEND_FIRST: Final = (
    "Some notes are about people or processings that this database does not know. If you import or register them "
    "again, replay the journal once more after that: a withdrawal is then recorded for them too."
)
_UNTOLD: Final = (
    "A host saw {} in the database before that the database lacks now, and that none of these journals has. Name the "
    "journals of every host; if one is lost, nothing tells what it said: say so in --lost."
)
_TWO: Final = (
    "It takes two persons to accept a restore here (SCEAU_REGISTER_APPROVAL): one sends what is lost to POST "
    '/v1/proposals with {"kind": "restore", "lost": …}, and another approves it (POST /v1/rulings).'
)
Directories = Annotated[
    list[Path] | None,
    typer.Argument(
        help="The journal's directories, those of every host; without any, SCEAU_STATE_DIRECTORY.",
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
    from app.journal.files import read_seen
    from app.journal.store import EpochComparison, KnownNotes, compare

    async def check(database: "Database") -> tuple[EpochComparison, int]:
        noted, missing = 0, 0
        async with database.read() as session:
            diff = await compare(session, KnownNotes([], [read_seen(each) for each in _places(directories)]))
            missing = diff.missing
            with progress() as bar:
                total = _number_of_notes(directories) if bar.is_shown else 1
                for part in _parts(_noted(directories)):
                    diff = await compare(session, KnownNotes(part), known_epoch=diff.known_epoch)
                    noted, missing = noted + len(part), missing + diff.missing
                    bar.tell(noted / total, f"{noted:,} notes compared")
        return replace(diff, missing=missing), noted

    diff, noted = connected(data, check, is_long=True)
    if as_json:
        echo_json(
            {"epoch": diff.epoch, "known_epoch": diff.known_epoch, "notes": noted, "missing": diff.missing}
            | {"set_back": diff.is_behind}
        )
    else:
        typer.echo(
            f"Epoch {diff.epoch}; the journal knows epoch {diff.known_epoch} and has {_counted(noted)}; this database "
            f"lacks {diff.missing} of this epoch."
        )
    if diff.is_behind:
        typer.echo("The database was set back: run `sceau recovery replay` with the journals of every host.", err=True)
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

    Give the journals of every host at once. It may be run again: what is held already is left alone. With
    SCEAU_REGISTER_APPROVAL=two the service answers once two persons have accepted the restore.
    """
    from app.journal.store import NewEpoch, is_marked, load_epoch
    from app.operations.consents.replay_journal import ReplayOutcome, told_by_hand

    by_hand: list[str] = []
    known_epoch, untold = 1, 0

    async def replay(database: "Database") -> "Counter[ReplayOutcome]":
        nonlocal known_epoch, untold
        counts: Counter[ReplayOutcome] = Counter()
        unread = await _lost_of_others(database, directories)
        with progress() as bar:
            total = _number_of_notes(directories) if bar.is_shown else 1
            for part in _parts(_noted(directories)):
                known_epoch = max(known_epoch, *(each.epoch for each in part))
                unread.difference_update(each.id for each in part)
                became = await _replayed(database, part, keep=not dry_run)
                counts.update(became)
                by_hand.extend(
                    told_by_hand(each) for each, is_ in zip(part, became, strict=True) if is_ is ReplayOutcome.BY_HAND
                )
                bar.tell(counts.total() / total, f"{counts.total():,} notes replayed")
        async with database.read() as session:
            has_stopped = await is_marked(session, await load_epoch(session))
        if _recorded(counts) and not dry_run and not has_stopped:
            async with confirmed(database) as session:  # a service that answers may permit it for a lease
                session.narrow()
        untold = len(unread)
        return counts

    counts = connected(data, replay, is_long=True)
    for outcome, number in counts.items():
        typer.echo(f"{number} {outcome.value}")
    if counts[ReplayOutcome.NOBODY] or counts[ReplayOutcome.PARTLY]:
        typer.echo(_SEND_FIRST, err=True)
    for line in by_hand:
        typer.echo(f"  by hand: {line}")
    if untold:
        typer.echo(_UNTOLD.format(_counted(untold)), err=True)
    if dry_run:
        return
    takes_two = _takes_two(data)
    if takes_two or ((by_hand or untold) and lost is None):
        then = f"The acceptance waits. {_TWO}" if takes_two else "Then say so: sceau recovery accept --lost '…'"
        typer.echo(f"Do these again. {then}" if by_hand or untold else then, err=True)
        raise typer.Exit(1)
    _accept(data, NewEpoch(lost or _NOTHING_LOST, _recorded(counts), len(by_hand)), known_epoch)


def _recorded(counts: "Counter[ReplayOutcome]") -> int:
    """How many notes were recorded in the database, wholly or in part."""
    from app.operations.consents.replay_journal import ReplayOutcome

    return counts[ReplayOutcome.REPLAYED] + counts[ReplayOutcome.PARTLY]


def accept_restore(
    lost: Annotated[str, typer.Option(help="What is lost or was done by hand, in words without names of people.")],
    data: DataOption = None,
) -> None:
    """Say that a restore has been dealt with: the service answers from the database again. It stays in the trail."""
    from app.journal.store import NewEpoch

    if _takes_two(data):
        fail(_TWO)
    _accept(data, NewEpoch(lost), 1)


def _takes_two(data: Path | None) -> bool:
    """Whether a second person must accept a restore, which only the API allows: one person runs a command."""
    from app.core.register import RegisterApproval
    from app.settings.required import register_approval

    with deployment(data):
        return register_approval(settings_here()) is RegisterApproval.TWO


def _accept(data: Path | None, begun: "NewEpoch", known_epoch: int) -> None:
    """Begin an epoch that is later than any that the journals know."""
    from app.core.register import RegisterApproval
    from app.journal.files import JournalError
    from app.operations.service.check_deployment import accept_restore, check_approval
    from app.wiring.parts import journal_of

    async def accept(database: "Database") -> int:
        journal, epochs = journal_of(settings_here()), [known_epoch]
        with suppress(JournalError):  # if a journal is lost too, the restore can only be accepted
            outside = await journal.latest()
            epochs += [*(each.epoch for each in outside.notes), *(each.epoch for each in outside.seen)]
        async with database.write() as session:
            await check_approval(session, RegisterApproval.ONE)
            number = await accept_restore(session, begun, known=max(epochs))
        await journal.begin(number)
        return number

    number = connected(data, accept, is_long=True)
    typer.echo(f"Epoch {number} has begun: the service answers from this database again.")


async def _lost_of_others(database: "Database", directories: Sequence[Path] | None) -> "set[UUID]":
    """The ids of notes that hosts saw in the database in this epoch, and that it no longer holds."""
    from app.journal.files import read_seen
    from app.journal.store import held_ids, load_epoch

    seen = [read_seen(each) for each in _places(directories)]
    async with database.read() as session:
        epoch = await load_epoch(session)
        ids = {each for host in seen if host.epoch == epoch for each in host.ids}
        return ids - await held_ids(session, ids)


class _NothingKeptError(Exception):
    """Ends the transaction of a dry run."""


async def _replayed(database: "Database", part: "Sequence[KeptNote]", *, keep: bool) -> "list[ReplayOutcome]":
    """Replay some notes in one transaction, and return the outcome of each; without `keep`, roll it back."""
    from app.journal.store import held_ids, load_epoch
    from app.operations.consents.replay_journal import ReplayOutcome, replay_note

    became: list[ReplayOutcome] = []
    with suppress(_NothingKeptError):
        async with database.write() as session:
            epoch, held = await load_epoch(session), await held_ids(session, [note.id for note in part])
            for note in part:
                is_held = note.id in held
                became.append(ReplayOutcome.HELD if is_held else await replay_note(session, note, epoch=epoch))
            if not keep:
                raise _NothingKeptError
    return became


def _noted(directories: Sequence[Path] | None) -> "Iterator[KeptNote]":
    """Yield the notes of the journals in the order in which they were kept; they are read lazily, for they may be many.

    Raises:
        JournalError: there is no journal, or it cannot be read.

    """
    from app.journal.files import lines_of
    from app.journal.store import read_line

    vault = deployment_here().vault
    journals = [(read_line(line, vault) for line in lines_of(directory)) for directory in _places(directories)]
    return heapq.merge(*journals, key=lambda kept: kept.at)


def _number_of_notes(directories: Sequence[Path] | None) -> int:
    """How many notes there are; 1 if there are none, so that the number can be a divisor."""
    from app.journal.files import lines_of

    return max(1, sum(1 for directory in _places(directories) for _ in lines_of(directory)))


def _places(directories: Sequence[Path] | None) -> Sequence[Path]:
    """The directories that were named, or this host's.

    Raises:
        JournalError: there is no journal.

    """
    from app.journal.files import JournalError

    own = settings_here().state_directory
    if not (places := directories or ([own] if own is not None else [])):
        raise JournalError("there is no journal: name its directories, or set SCEAU_STATE_DIRECTORY")
    return places


def _parts(noted: "Iterator[KeptNote]") -> "Iterator[Sequence[KeptNote]]":
    while part := list(islice(noted, _TOGETHER)):
        yield part


def _counted(number: int) -> str:
    return "1 note" if number == 1 else f"{number} notes"


recovery = group("Export and restore a deployment; deal with a restored database.")
recovery.command()(export)
recovery.command()(restore)
recovery.command("check")(restore_check)
recovery.command("replay")(replay_journal)
recovery.command("accept")(accept_restore)
