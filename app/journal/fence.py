"""Keeps a database that was set back from permitting what was withdrawn since.

A restored backup, or a standby that was promoted and lacks commits, looks like any other database. What is known
outside it tells: it has an earlier epoch, or it does not hold what the journal notes of its epoch.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Final
from uuid import UUID

import structlog

from app.db.database import Database, DatabaseUnavailableError, RestoredBehindError
from app.db.session import ReadSession
from app.journal.files import JournalError
from app.journal.journal import Journal
from app.journal.store import compare, is_marked, load_epoch, mark, see_latest

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
