"""Keeps notes of writes that forbid, and keeps a database that lacks one of them from permitting.

Notes are in memory always, and in files and by a hook where the deployment has them.
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

import structlog

from app.db.database import Database, DatabaseUnavailableError, RestoredBehindError
from app.db.identifiers import random_id
from app.db.session import ReadSession, WriteSession
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
from app.journal.store import AT_ONCE, compare, is_marked, load_epoch, mark, mark_kept, put_note, see_latest, take_up
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


# Keeps a database that was set back from permitting what was withdrawn since.
#
# A restored backup, or a standby that was promoted and lacks commits, looks like any other database. What is known
# outside it tells: it has an earlier epoch, or it does not hold what the journal notes of its epoch.

_LOOK_AGAIN_SECONDS: Final = 1.0
_ANYWAY_SECONDS: Final = 30.0
"""So long after it was done last, each chore is looked for whatever beats say."""
log = structlog.get_logger("sceau.journal")


@dataclass(frozen=True, slots=True)
class Chores:
    """What a beat reads besides changes: what there is to look at, so that an idle process asks nothing else.

    `notes` names the epoch, the newest note and the marks of a database that was set back: another one is another
    state. `left`: a note waits that its process has left; `dead`: a replica's row does not beat; `changes`: there are
    changes, which may be trimmed.
    """

    notes: str
    left: bool
    dead: bool
    changes: bool


class Pulse:
    """The chores of the last beat, while beats come."""

    def __init__(self) -> None:
        """No beat yet."""
        self._last: Chores | None = None

    def beat(self, chores: Chores | None) -> None:
        """A beat has read them; None: beats have ended."""
        self._last = chores

    def chores(self, done: float) -> Chores | None:
        """What there is to do by the last beat; None: whatever there is, since no beats come or it was done long ago.

        Args:
            done: when it was done last, by the monotonic clock.

        """
        return self._last if monotonic() - done < _ANYWAY_SECONDS else None


class Fence:
    """What this process has found of the server that it reads.

    `behind`: the last server that was looked at has been set back, and nobody has dealt with it yet.
    """

    def __init__(self, database: Database, journal: Journal, signed: Callable[[], int]) -> None:
        """Look at nothing yet.

        Args:
            database: what is looked at.
            journal: what is known outside it.
            signed: gives the epoch of the last checkpoint of the proof log that is kept outside.

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

    async def admit(self, server: str) -> None:
        """Look at a server, by its identity (`app.db.connections`), when a feed has just connected to it.

        Raises:
            RestoredBehindError: it was set back.
            DatabaseUnavailableError: it cannot be read.

        """
        self._admitted = None  # the same server may hold another database than before
        async with self.database.read_from(server) as session:
            await self.look(session, server)

    async def look_by_itself(self) -> None:
        """Look at the database without a read or a write that asks for it, as when the process starts.

        What the process notes from then on has the right epoch.

        Raises:
            DatabaseUnavailableError: it cannot be read.

        """
        with suppress(RestoredBehindError):
            async with self.database.read_and_prove(by_commit=False, look=self.look):
                pass

    async def look(self, session: ReadSession, server: str) -> None:
        """Look at a server in a session that reads it.

        A server that was found to be good is not compared with the journal again: once a second this process only reads
        whether another one has marked it.

        Raises:
            RestoredBehindError: it was set back.

        """
        if await self._is_settled(server, session):
            return
        async with self._turn:  # of many questions at once, one looks
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
        """Whether that server was found to be good, and nobody has found otherwise since.

        Raises:
            RestoredBehindError: the last look, less than a second ago, found that it was set back.

        """
        is_fresh = monotonic() - self._looked < _LOOK_AGAIN_SECONDS
        if self.behind and is_fresh:
            raise RestoredBehindError
        if server != self._admitted or (not is_fresh and await self._is_marked(session)):
            return False
        self._looked = self._looked if is_fresh else monotonic()
        return True

    def forget(self) -> None:
        """The feed is lost: whatever answers next is looked at, also where it is the same server."""
        self._admitted = None

    async def keep_watching(self) -> None:
        """Look, until cancelled, whether the database has been set back. The feed ends when it was.

        Another process may have found it: its journal may note what this one's does not. Or it lacks what this process
        has noted since it last compared its notes, or what it has seen of others. Each of these shows in what beats
        say of the notes; where none come, it is looked every second.
        """
        failed, looked = False, -inf
        watched: tuple[str | None, UUID | None] = (None, None)
        while True:
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            chores = self.pulse.chores(looked)
            # What this process noted last as well: beats may be those of a server that has lost it.
            seen = (None if chores is None else chores.notes, self._journal.newest())
            if chores is not None and seen == watched and not failed and not self.behind:
                continue
            try:
                await self._watch()
                failed, watched, looked = False, seen, monotonic()
            except DatabaseUnavailableError:
                continue  # others say so
            except Exception as error:  # noqa: BLE001 - whatever it is: what cannot be watched may have been set back
                self.behind, self._admitted = True, None
                if not failed:
                    log.warning("the database cannot be watched", cause=type(error).__name__)
                failed = True

    async def _watch(self) -> None:
        if self._to_mark is not None:
            await self._mark(*self._to_mark)  # here, and not while a read holds its connection
        journal = self._journal
        async with self.database.read() as session:
            known = journal.recent()
            found = await compare(session, known, known=journal.known)
            if found.is_behind:
                self.behind, self._admitted = True, None
            else:
                journal.compared(known)
                journal.saw(found.epoch)
            if self.behind:
                self._looked = -inf  # whoever reads next looks in full: somebody may have dealt with it
            seen = await see_latest(session)
        if found.is_behind and not found.marked:
            await self.look_by_itself()  # which server it is, to mark it for the others
        elif not self.behind and journal.has_not_seen(seen):
            await self._see()

    async def _see(self) -> None:
        """Know the latest notes of others, from a server that is proven to be the primary.

        Each that follows has them. Another may hold what a failover has lost: no database would ever be whole again.
        """
        async with self.database.read_and_prove(by_commit=True, look=self.look) as session:
            seen = await see_latest(session)
        with suppress(JournalError):  # a disk that is full: notes cannot be kept there either, which is told
            await self._journal.see(seen)

    async def _is_marked(self, session: ReadSession) -> bool:
        epoch = await load_epoch(session)
        if epoch >= self._journal.known:
            self._journal.saw(epoch)
        return epoch < self._journal.known or await is_marked(session, epoch)

    async def _mark(self, server: str, epoch: int) -> None:
        """Tell the others, whose journals may lack nothing; and oneself, for as long as notes go on.

        On the server that was looked at, and no other: one that was replaced lacks what its successor has.
        """
        async with self.database.write(server) as session:
            await mark(session, epoch)
        self._to_mark = None

    async def _is_behind(self, session: ReadSession, server: str) -> bool:
        journal = self._journal
        try:
            known = await journal.latest()
        except JournalError as error:
            # Nothing then tells a restored database from another, so this one may be one.
            log.error("the journal cannot be read", why=str(error))  # noqa: TRY400 - the message is for an operator
            return True
        found = await compare(session, known, known=max(journal.known, self._signed()))
        journal.epoch, journal.known = found.epoch, max(journal.known, found.known)
        if found.is_behind:
            self._to_mark = None if found.marked else (server, found.epoch)
            return True
        self._to_mark = None
        journal.compared(known)
        journal.saw(found.epoch)
        return False
