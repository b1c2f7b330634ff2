"""Keeps notes of writes that forbid: in memory always, and in files and by a hook where the deployment has them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Final
from uuid import UUID

from app.db.database import Database
from app.db.identifiers import random_id
from app.db.session import WriteSession
from app.journal.files import (
    Clock,
    JournalError,
    KeptNote,
    KnownNotes,
    SeenNotes,
    append,
    hand_on,
    last_lines,
    line_of,
    note_of,
    read_line,
    read_seen,
    write_seen,
)
from app.journal.store import AT_ONCE, mark_kept, put_note, take_up
from app.ledger.vault import Vault

_LAST: Final = 200
"""So many of the latest notes tell whether a database has gone back: any loss loses the latest first."""


@dataclass(frozen=True, slots=True)
class JournalPlan:
    """Where notes are kept: a directory, a program that gets each line on its standard input; None for neither.

    `vault` seals what is kept there; a plan with neither needs none.
    """

    clock: Clock
    vault: Vault | None = None
    directory: Path | None = None
    hook: Path | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """Notes of one transaction, and their lines by their ids, where a journal is kept."""

    notes: Sequence[KeptNote] = ()
    lines: dict[UUID, bytes] | None = None


class Journal:
    """One process's part of the journal.

    `epoch` is that of the database which is read now; `known` the highest that this process has seen of it. `failures`:
    how often notes could not be kept.
    """

    def __init__(self, plan: JournalPlan) -> None:
        """Know nothing yet; nothing is read or written."""
        self.epoch = self.known = 1
        self.failures = 0
        self._plan = plan
        self._recent: list[KeptNote] = []
        self._seen = SeenNotes()
        self._kept: list[UUID] = []
        self._in_files: set[UUID] = set()
        self._noted_epoch = 1
        self._keeping = asyncio.Lock()
        self._failed_at = 0.0

    def note(self, session: WriteSession) -> Noted:
        """Put notes of what a transaction forbids into it, just before it is committed.

        A write that forbids nothing is not noted: without it less is permitted, and not more.
        """
        done, vault = session.committing, self._plan.vault
        if not done.narrowing:
            return Noted()
        now = self._plan.clock()
        notes = [KeptNote(random_id(), self.epoch, now, note_of(kind, fact)) for kind, fact, _ in done.notes]
        lines = {each.id: line_of(each, vault) for each in notes} if vault is not None else None
        for made, (_, _, entry) in zip(notes, done.notes, strict=True):
            put_note(session, made.id, lines[made.id] if lines is not None else None, entry)
        return Noted(notes, lines)

    async def keep(self, database: Database, noted: Noted, *, repeats: bool) -> None:
        """Keep notes of what was just committed, before that is answered.

        Args:
            database: where notes wait.
            noted: what `note` put into the transaction.
            repeats: the transaction repeats one that may have died before its notes were kept.

        Raises:
            JournalError: they are not kept where they should be; they wait in the database.
            DatabaseUnavailableError: it cannot be read whether some wait.

        """
        self._recent.extend(noted.notes)
        if self._plan.vault is None:
            return
        try:
            if repeats:
                await self.keep_waiting(database)
            if noted.lines:
                await self._keep_lines(noted.lines)
                self._kept += noted.lines
        except JournalError:
            self.failures += 1
            raise

    async def keep_waiting(self, database: Database, *, left_for: timedelta | None = None) -> None:
        """Keep notes that wait in the database.

        Args:
            database: where they wait.
            left_for: only those that wait for so long, which their process has left; None: whatever waits.

        Raises:
            JournalError, DatabaseUnavailableError: as `keep`.

        """
        if self._plan.vault is None:
            return
        asked = monotonic()
        async with self._keeping:
            if self._failed_at > asked:  # while this call waited for its turn: it would only take as long again
                raise JournalError("the journal could not be written just now")
            try:
                while await self._keep_some(database, left_for) == AT_ONCE:
                    pass
            except JournalError:
                self._failed_at = monotonic()
                raise

    async def _keep_some(self, database: Database, left_for: timedelta | None) -> int:
        async with database.write() as session:
            lines = await take_up(session, left_for=left_for)
        if not lines:
            return 0
        await self._keep_lines(lines)  # with no transaction open: a hook may take seconds
        async with database.write() as session:
            await mark_kept(session, list(lines))
        self._in_files.difference_update(lines)
        return len(lines)

    async def mark_kept(self, database: Database) -> None:
        """Say in the database which notes this process has kept itself.

        Raises:
            DatabaseUnavailableError: it cannot be written; it is said the next time.

        """
        if ids := self._kept[:]:
            async with database.write() as session:
                await mark_kept(session, ids)
            del self._kept[: len(ids)]
            self._in_files.difference_update(ids)

    async def _keep_lines(self, lines: dict[UUID, bytes]) -> None:
        """Write lines into the files, each once, and give them to the hook."""
        fresh = [each for each in lines if each not in self._in_files]
        if self._plan.directory is not None and fresh:
            written = [lines[each] for each in fresh]
            await asyncio.to_thread(append, self._plan.directory, self._plan.clock(), written)
            self._in_files.update(fresh)  # a hook that fails now is tried again, and the files have them
        if self._plan.hook is not None and lines:
            await asyncio.to_thread(hand_on, self._plan.hook, list(lines.values()))

    def saw(self, epoch: int) -> None:
        """Know which epoch the database has that is read now."""
        self.epoch = epoch
        self.known = max(self.known, epoch)

    async def note_epoch(self) -> None:
        """Note the database's epoch, unless this host's journal has it: an older database is recognised by it.

        Raises:
            JournalError: it cannot be noted.

        """
        epoch = self.epoch
        if epoch > self._noted_epoch:
            await self.begin(epoch)

    async def begin(self, epoch: int) -> None:
        """Note that a later epoch has begun than the one that was known here.

        Raises:
            JournalError: it cannot be noted.

        """
        self.saw(epoch)
        note = KeptNote(random_id(), epoch, self._plan.clock(), note_of("epoch", {"number": epoch}))
        if self._plan.vault is not None:
            await self._keep_lines({note.id: line_of(note, self._plan.vault)})
            self._in_files.discard(note.id)
        self._noted_epoch = epoch

    async def latest(self) -> KnownNotes:
        """What this process and its host know: the latest notes that they kept, and those that they saw.

        Raises:
            JournalError: the files cannot be read, or a line of them cannot be opened.

        """
        # In a thread: a file system that hangs must not hold up answers.
        kept, seen = await asyncio.to_thread(lambda: (self.kept_last(), self._seen_before()))
        self._noted_epoch = max([self._noted_epoch, *(each.epoch for each in kept)])
        made = {each.id: each for each in [*kept, *self._recent]}
        return KnownNotes(list(made.values()), [seen, self._seen])

    def recent(self) -> KnownNotes:
        """What this process itself knows: the notes that it made since it last compared them, and those that it saw."""
        return KnownNotes(self._recent[:], [self._seen])

    def newest(self) -> UUID | None:
        """The id of the note that this process made last; None before its first."""
        return self._recent[-1].id if self._recent else None

    def compared(self, known: KnownNotes) -> None:
        """Keep of the notes that a database was found to hold the latest only. Those made meanwhile all stay."""
        held = {each.id for each in known.notes}
        fresh = [each for each in self._recent if each.id not in held]
        self._recent = [*[each for each in self._recent if each.id in held][-_LAST:], *fresh]

    def has_not_seen(self, seen: SeenNotes) -> bool:
        """Whether there is a note among these that this process has neither made nor seen."""
        return seen.epoch != self._seen.epoch or not seen.ids <= self._seen.ids

    async def see(self, seen: SeenNotes) -> None:
        """Know the latest notes of a database, whoever made them, and have this host know them after this process.

        Raises:
            JournalError: they cannot be written beside the journal.

        """
        self._seen = seen
        if self._plan.directory is not None:
            await asyncio.to_thread(write_seen, self._plan.directory, seen)

    def _seen_before(self) -> SeenNotes:
        return SeenNotes() if self._plan.directory is None else read_seen(self._plan.directory)

    async def has_ended(self, *credentials: UUID) -> bool:
        """Whether the latest notes say that one of these callers or keys has ended: a restored database may not know.

        Where the journal cannot be read, nothing tells, and to accept a restore is the way out of that.
        """
        try:
            latest = await self.latest()
        except JournalError:
            return False
        now = self._plan.clock()
        return any(each.note.ends(credential, now) for each in latest.notes for credential in credentials)

    def kept_last(self) -> list[KeptNote]:
        """The latest notes in the files, each once: by their place, for this host's clock may have stood ahead.

        Raises:
            JournalError: as `latest`.

        """
        vault, directory = self._plan.vault, self._plan.directory
        if vault is None or directory is None:
            return []
        read = [read_line(line, vault) for line in last_lines(directory, _LAST)]
        return list({each.id: each for each in read}.values())
