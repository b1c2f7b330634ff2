"""Keeps notes of writes that forbid, and keeps a database that lacks one of them from permitting.

Notes are always in memory, and also in files or given to a hook where the deployment has these.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from pathlib import Path
from time import monotonic
from typing import Final
from uuid import UUID

import msgspec
import structlog

from app.db.database import Database, DatabaseUnavailableError, RestoredBehindError
from app.db.session import ReadSession, WriteSession, random_id
from app.journal.files import Clock, JournalError, SeenNotes, append, hand_on, last_lines, read_seen, write_seen
from app.journal.store import (
    AT_ONCE,
    PUT_NOTE,
    JournalNote,
    KeptNote,
    KnownNotes,
    compare,
    is_marked,
    line_of,
    load_epoch,
    mark,
    mark_kept,
    read_line,
    see_latest,
    take_up,
)
from app.ledger.identifiers import Vault

_LAST: Final = 200
"""How many of the latest notes are compared to tell whether a database has gone back: any loss loses these first."""
_NOTES_SECONDS: Final = 1.0
_LEFT: Final = timedelta(seconds=10)
"""A note that waits for longer was left by its process, which otherwise keeps it before answering and says so."""


@dataclass(frozen=True, slots=True)
class JournalPlan:
    """Where notes are kept: a directory, a program that gets each line on its standard input; None for neither.

    `vault` seals what is kept there; a plan with neither needs no vault.
    """

    clock: Clock
    vault: Vault | None = None
    directory: Path | None = None
    hook: Path | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """The notes of one transaction, and, where a journal is kept, their lines by note id."""

    notes: Sequence[KeptNote] = ()
    lines: dict[UUID, bytes] | None = None


def _note_of(kind: str, fact: object) -> JournalNote:
    """Return a fact as a note; the fact is a dataclass or a structure of plain values, times, UUIDs and bytes."""
    return JournalNote(kind, msgspec.Raw(msgspec.json.encode(fact)))


class Journal:
    """One process's part of the journal.

    `epoch` is that of the database which is read now; `max_epoch` is the highest that this process has seen.
    `failures` counts how often notes could not be kept; `failing`: the last time.
    """

    def __init__(self, plan: JournalPlan) -> None:
        """Start knowing nothing; nothing is read or written."""
        self.epoch = self.max_epoch = 1
        self.failures, self.failing = 0, False
        self._plan = plan
        self._recent: list[KeptNote] = []
        self._seen = SeenNotes()
        self._kept: list[UUID] = []
        self._in_files: set[UUID] = set()
        self._noted_epoch = 1
        self._keeping = asyncio.Lock()
        self._failed_at = 0.0

    def note(self, session: WriteSession) -> Noted:
        """Add notes of what a transaction forbids to the transaction, just before it is committed.

        A write that forbids nothing is not noted: losing it would permit less, not more.
        """
        done, vault = session.committing, self._plan.vault
        if not done.narrowing:
            return Noted()
        now = self._plan.clock()
        notes = [KeptNote(random_id(), self.epoch, now, _note_of(kind, fact)) for kind, fact, _ in done.notes]
        lines = {each.id: line_of(each, vault) for each in notes} if vault is not None else None
        for made, (_, _, entry) in zip(notes, done.notes, strict=True):
            kind, named = entry or (None, None)
            line = lines[made.id] if lines is not None else None
            session.stage(PUT_NOTE, {"id": made.id, "line": line, "fact_kind": kind, "fact_id": named})
        return Noted(notes, lines)

    async def keep(self, database: Database, noted: Noted, *, repeats: bool) -> None:
        """Keep the notes of a committed write, before that write is answered.

        Args:
            database: where notes wait.
            noted: what `note` added to the transaction.
            repeats: whether the transaction repeats one that may have died before its notes were kept.

        Raises:
            JournalError: they are not kept where they should be; they wait in the database.
            DatabaseUnavailableError: the database cannot be asked which notes wait.

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
                self.failing = False
        except JournalError:
            self.failures, self.failing = self.failures + 1, True
            raise

    async def keep_waiting(self, database: Database, *, left_for: timedelta | None = None) -> None:
        """Keep the notes that wait in the database.

        Args:
            database: where they wait.
            left_for: only notes that have waited for this long, so that their process has left them; None: all that
                wait.

        Raises:
            JournalError, DatabaseUnavailableError: as for `keep`.

        """
        if self._plan.vault is None:
            return
        called_at = monotonic()
        async with self._keeping:
            if self._failed_at > called_at:  # it failed while this call waited: a retry would take as long
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
        """Mark in the database the notes that this process has kept itself.

        Raises:
            DatabaseUnavailableError: it cannot be written; the next call marks them.

        """
        if ids := self._kept[:]:
            async with database.write() as session:
                await mark_kept(session, ids)
            del self._kept[: len(ids)]
            self._in_files.difference_update(ids)

    async def _keep_lines(self, lines: dict[UUID, bytes]) -> None:
        """Write lines into the files, each once, and pass them to the hook."""
        fresh = [each for each in lines if each not in self._in_files]
        if self._plan.directory is not None and fresh:
            written = [lines[each] for each in fresh]
            await asyncio.to_thread(append, self._plan.directory, self._plan.clock(), written)
            self._in_files.update(fresh)  # a hook that fails now is tried again, and the files have them
        if self._plan.hook is not None and lines:
            await asyncio.to_thread(hand_on, self._plan.hook, list(lines.values()))

    def saw(self, epoch: int) -> None:
        """Record the epoch of the database that is read now."""
        self.epoch = epoch
        self.max_epoch = max(self.max_epoch, epoch)

    async def note_epoch(self) -> None:
        """Note the database's epoch, unless this host's journal has it: an older database is recognised by its epoch.

        Raises:
            JournalError: it cannot be noted.

        """
        epoch = self.epoch
        if epoch > self._noted_epoch:
            await self.begin(epoch)

    async def begin(self, epoch: int) -> None:
        """Note that an epoch later than the one known here has begun.

        Raises:
            JournalError: it cannot be noted.

        """
        self.saw(epoch)
        note = KeptNote(random_id(), epoch, self._plan.clock(), _note_of("epoch", {"number": epoch}))
        if self._plan.vault is not None:
            await self._keep_lines({note.id: line_of(note, self._plan.vault)})
            self._in_files.discard(note.id)
        self._noted_epoch = epoch

    async def latest(self) -> KnownNotes:
        """Return what this process and its host know: the latest notes that they kept, and those that they saw.

        Raises:
            JournalError: the files cannot be read, or one of their lines cannot be opened.

        """
        # In a thread: a file system that hangs must not hold up answers.
        kept, seen = await asyncio.to_thread(self._of_host)
        self._noted_epoch = max([self._noted_epoch, *(each.epoch for each in kept)])
        made = {each.id: each for each in [*kept, *self._recent]}
        return KnownNotes(list(made.values()), [seen, self._seen])

    def recent(self) -> KnownNotes:
        """Return what this process itself knows: the notes made since it last compared them, and those that it saw."""
        return KnownNotes(self._recent[:], [self._seen])

    def newest(self) -> UUID | None:
        """Return the id of the last note that this process made; None before its first."""
        return self._recent[-1].id if self._recent else None

    def compared(self, notes: KnownNotes) -> None:
        """Keep only the latest of the notes that a database was found to hold, and all notes made meanwhile."""
        held = {each.id for each in notes.notes}
        fresh = [each for each in self._recent if each.id not in held]
        self._recent = [*[each for each in self._recent if each.id in held][-_LAST:], *fresh]

    def has_not_seen(self, seen: SeenNotes) -> bool:
        """Return whether one of these notes was not seen by this process before, or is of another epoch."""
        return seen.epoch != self._seen.epoch or not seen.ids <= self._seen.ids

    async def see(self, seen: SeenNotes) -> None:
        """Remember the latest notes of a database, whichever process made them, also beside the journal on this host.

        Raises:
            JournalError: they cannot be written beside the journal.

        """
        self._seen = seen
        if self._plan.directory is not None:
            await asyncio.to_thread(write_seen, self._plan.directory, seen)

    async def has_ended(self, *credentials: UUID) -> bool:
        """Return whether the latest notes say that one of these callers or keys has ended; a restored database may not.

        Return False where the journal cannot be read: then nothing says so, and accepting a restore is the way out.
        """
        try:
            latest = await self.latest()
        except JournalError:
            return False
        now = self._plan.clock()
        return any(each.note.ends(credential, now) for each in latest.notes for credential in credentials)

    def _of_host(self) -> tuple[list[KeptNote], SeenNotes]:
        """Return the last notes in this host's files, and which notes its processes had seen before.

        The place in the files counts, not the time of a note: this host's clock may have been ahead.

        Raises:
            JournalError: as for `latest`.

        """
        vault, directory = self._plan.vault, self._plan.directory
        if vault is None or directory is None:
            return [], SeenNotes()
        return [read_line(line, vault) for line in last_lines(directory, _LAST)], read_seen(directory)


# The fence keeps a database that was set back from permitting what was withdrawn since. A restored backup, or a standby
# that was promoted and lacks commits, looks like any other database. It is recognised by what is known outside it: its
# epoch is earlier, or it lacks notes that the journal has of its epoch.

_LOOK_AGAIN_SECONDS: Final = 1.0
_ANYWAY_SECONDS: Final = 30.0
"""Seconds after which each chore is done again, whatever the beats report."""
log = structlog.get_logger("sceau.journal")


@dataclass(frozen=True, slots=True)
class Chores:
    """The chores that a beat reads besides changes, so that an idle process need not ask for them.

    `notes` names the epoch, the newest note and the marks of a database that was set back: if it differs, so does the
    state. `left`: a note waits that its process has left. `dead`: a replica's row no longer beats. `changes`: there are
    changes, which may be trimmed.
    """

    notes: str
    left: bool
    dead: bool
    changes: bool


class Pulse:
    """The chores of the last beat, while beats come."""

    def __init__(self) -> None:
        """Start without a beat."""
        self._last: Chores | None = None

    def beat(self, chores: Chores | None) -> None:
        """Record the chores that a beat has read; None: beats have ended."""
        self._last = chores

    def chores(self, done: float) -> Chores | None:
        """Return the chores of the last beat; None: do all of them, as no beats come or they were done long ago.

        Args:
            done: when they were last done, by the monotonic clock.

        """
        return self._last if monotonic() - done < _ANYWAY_SECONDS else None


class Fence:
    """What this process has found out about the server that it reads.

    `behind`: the server that was checked last was set back, and not dealt with since.
    """

    def __init__(self, database: Database, journal: Journal, signed: Callable[[], int]) -> None:
        """Start without a check.

        Args:
            database: the database to check.
            journal: what is known outside the database.
            signed: returns the epoch of the last checkpoint of the proof log that is kept outside.

        """
        self.behind = False
        self.pulse = Pulse()
        self.database = database
        self._journal = journal
        self._signed = signed
        self._admitted: str | None = None
        self._looked = -inf
        self._turn = asyncio.Lock()
        self._to_mark: tuple[str, int] | None = None

    async def keep_notes(self) -> None:
        """Keep the notes that were left, record what this process has kept, note a new epoch; until cancelled."""
        failed, looked = False, -inf
        while True:
            await asyncio.sleep(_NOTES_SECONDS)
            try:
                await self._journal.mark_kept(self.database)
                chores = self.pulse.chores(looked)
                if chores is None or chores.left:
                    await self._journal.keep_waiting(self.database, left_for=_LEFT)
                    looked = monotonic()
                await self._journal.note_epoch()
            except DatabaseUnavailableError:
                continue  # others report that
            except JournalError as error:
                if not failed:
                    log.error("notes wait in the database", why=str(error))  # noqa: TRY400 - the message is for an operator
                failed = True
            else:
                failed = False

    async def admit(self, server: str) -> None:
        """Check a server, by its identity (`app.db.connections`), when a feed has just connected to it.

        Raises:
            RestoredBehindError: the server was set back.
            DatabaseUnavailableError: the server cannot be read.

        """
        self._admitted = None  # the same server may hold another database than before
        async with self.database.read_from(server, at_once=False) as session:
            await self.look(session, server)

    async def look_by_itself(self) -> None:
        """Check the database outside any read or write, as when the process starts.

        The process then notes with the right epoch.

        Raises:
            DatabaseUnavailableError: the database cannot be read.

        """
        with suppress(RestoredBehindError):
            async with self.database.read_and_prove(by_commit=False, look=self.look):
                pass

    async def look(self, session: ReadSession, server: str) -> None:
        """Check a server in a session that reads it.

        A server that was found to be good is not compared with the journal again: once a second this process only reads
        whether another one has marked it.

        Raises:
            RestoredBehindError: the server was set back.

        """
        if await self._is_settled(server, session):
            return
        async with self._turn:  # of many concurrent requests, one checks
            if await self._is_settled(server, session):
                return
            was_behind, self.behind = self.behind, await self._is_behind(session, server)
            self._looked = monotonic()
            self._admitted = None if self.behind else server
        if self.behind:
            if not was_behind:
                log.error("the database was set back: it lacks what was recorded; see `sceau recovery check`")
            raise RestoredBehindError

    async def _is_settled(self, server: str, session: ReadSession) -> bool:
        """Return whether that server was found to be good, and not marked by another process since.

        Raises:
            RestoredBehindError: the last check, less than a second ago, found that the server was set back.

        """
        is_fresh = monotonic() - self._looked < _LOOK_AGAIN_SECONDS
        if self.behind and is_fresh:
            raise RestoredBehindError
        if server != self._admitted or (not is_fresh and await self._is_marked(session)):
            return False
        self._looked = self._looked if is_fresh else monotonic()
        return True

    def forget(self) -> None:
        """Have the next server that answers checked, even if it is the same one, because the feed is lost."""
        self._admitted = None

    async def keep_watching(self) -> None:
        """Check, until cancelled, whether the database has been set back. The feed ends if it was.

        Another process may have found it, whose journal notes what this one's does not. Or the database lacks what this
        process has noted since it last compared its notes, or what it has seen of others. Each of these shows in what
        beats report of the notes; where no beats come, this process checks every second.
        """
        failed, looked = False, -inf
        watched: tuple[str | None, UUID | None] = (None, None)
        while True:
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            chores = self.pulse.chores(looked)
            # The last note of this process counts too: beats may come from a server that has lost it.
            seen = (None if chores is None else chores.notes, self._journal.newest())
            if chores is not None and seen == watched and not failed and not self.behind:
                continue
            try:
                await self._watch()
                failed, watched, looked = False, seen, monotonic()
            except DatabaseUnavailableError:
                continue  # others report that
            except Exception as error:  # noqa: BLE001 - whatever it is: what cannot be watched may have been set back
                self.behind, self._admitted = True, None
                if not failed:
                    log.warning("the database cannot be watched", cause=type(error).__name__)
                failed = True

    async def _watch(self) -> None:
        if self._to_mark is not None:
            await self._mark(*self._to_mark)  # done here, and not while a read holds its connection
        journal = self._journal
        async with self.database.read() as session:
            notes = journal.recent()
            comparison = await compare(session, notes, known_epoch=journal.max_epoch)
            if comparison.is_behind:
                self.behind, self._admitted = True, None
            else:
                journal.compared(notes)
                journal.saw(comparison.epoch)
            if self.behind:
                self._looked = -inf  # the next reader checks in full, because the restore may have been dealt with
            seen = await see_latest(session)
        if comparison.is_behind and not comparison.marked:
            await self.look_by_itself()  # to learn which server it is and mark it for the others
        elif not self.behind and journal.has_not_seen(seen):
            await self._see()

    async def _see(self) -> None:
        """Remember the latest notes of other processes, from a server that is proven to be the primary.

        Every later primary has them. Another server may hold notes that a failover has lost, and then no database would
        ever count as whole again.
        """
        async with self.database.read_and_prove(by_commit=True, look=self.look) as session:
            seen = await see_latest(session)
        with suppress(JournalError):  # a full disk: notes cannot be kept there either, and that is reported
            await self._journal.see(seen)

    async def _is_marked(self, session: ReadSession) -> bool:
        epoch = await load_epoch(session)
        if epoch >= self._journal.max_epoch:
            self._journal.saw(epoch)
        return epoch < self._journal.max_epoch or await is_marked(session, epoch)

    async def _mark(self, server: str, epoch: int) -> None:
        """Mark the server as set back, for other processes whose journals may lack nothing and for this one.

        The mark goes to the server that was checked, and to no other: a server that was replaced lacks what its
        successor has.
        """
        async with self.database.write(server) as session:
            await mark(session, epoch)
        self._to_mark = None

    async def _is_behind(self, session: ReadSession, server: str) -> bool:
        journal = self._journal
        try:
            notes = await journal.latest()
        except JournalError as error:
            # Then nothing distinguishes a restored database from another, so this one may be restored.
            log.error("the journal cannot be read", why=str(error))  # noqa: TRY400 - the message is for an operator
            return True
        comparison = await compare(session, notes, known_epoch=max(journal.max_epoch, self._signed()))
        journal.epoch, journal.max_epoch = comparison.epoch, max(journal.max_epoch, comparison.known_epoch)
        if comparison.is_behind:
            self._to_mark = None if comparison.marked else (server, comparison.epoch)
            return True
        self._to_mark = None
        journal.compared(notes)
        journal.saw(comparison.epoch)
        return False
