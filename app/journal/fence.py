"""Keeps a database that was set back from permitting what was withdrawn since.

A restored backup, or a standby that was promoted and lacks commits, looks like any other database. What is known
outside it tells: it has an earlier epoch, or it does not hold what the journal notes of its epoch.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from app.db.database import Database, DatabaseUnavailableError, RestoredBehindError
from app.db.session import ReadSession
from app.journal.journal import Journal
from app.journal.lines import JournalError
from app.journal.store import compare, is_marked, load_epoch, mark

_LOOK_AGAIN_SECONDS: Final = 1.0
log = structlog.get_logger("sceau.journal")


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
        self.database = database
        self._journal = journal
        self._signed = signed
        self._admitted: str | None = None
        self._looked = 0.0

    async def admit(self, server: str) -> None:
        """Look at a server, by its identity (`app.db.primary`), when a feed has just connected to it.

        Raises:
            RestoredBehindError: it was set back.
            DatabaseUnavailableError: it cannot be read.

        """
        self._admitted = None  # the same server may hold another database than before
        async with self.database.read_from(server) as session:
            await self.look(session, server)

    async def first_look(self) -> None:
        """Look at the database when the process starts, so that what it notes has the right epoch.

        Raises:
            DatabaseUnavailableError: it cannot be read.

        """
        with suppress(RestoredBehindError):
            async with self.database.read_and_prove(by_commit=False, look=self.look):
                pass

    async def look(self, session: ReadSession, server: str) -> None:
        """The same, in a session that reads that server; nothing where it was the last that was found to be good.

        Raises:
            RestoredBehindError: it was set back.

        """
        looked = asyncio.get_running_loop().time() - self._looked
        if server == self._admitted and (looked < _LOOK_AGAIN_SECONDS or not await self._is_marked(session)):
            return
        if self.behind and asyncio.get_running_loop().time() - self._looked < _LOOK_AGAIN_SECONDS:
            raise RestoredBehindError
        was_behind, self.behind = self.behind, await self._is_behind(session)
        self._looked = asyncio.get_running_loop().time()
        if self.behind:
            self._admitted = None
            if not was_behind:
                log.error("the database was set back: it lacks what was recorded; see `sceau restore-check`")
            raise RestoredBehindError
        self._admitted = server

    def forget(self) -> None:
        """The feed is lost: whatever answers next is looked at, also where it is the same server."""
        self._admitted = None

    async def keep_watching(self) -> None:
        """Look every second, until cancelled, whether another process has found the database to be set back.

        Its journal may note what this one's does not. The feed ends when it finds `behind`, and memory with it.
        """
        while True:
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            with suppress(DatabaseUnavailableError):
                async with self.database.read() as session:
                    if await self._is_marked(session):
                        self.behind, self._admitted = True, None

    async def _is_marked(self, session: ReadSession) -> bool:
        epoch = await load_epoch(session)
        self._looked = asyncio.get_running_loop().time()
        if epoch >= self._journal.known:
            self._journal.epoch = self._journal.known = epoch
        return epoch < self._journal.known or await is_marked(session, epoch)

    async def _mark(self, epoch: int) -> None:
        """Tell the others, whose journals may lack nothing; and oneself, for as long as notes go on."""
        with suppress(DatabaseUnavailableError):
            async with self.database.write() as session:
                await mark(session, epoch)

    async def _is_behind(self, session: ReadSession) -> bool:
        journal = self._journal
        try:
            latest = journal.latest()
        except JournalError as error:
            # Nothing then tells a restored database from another, so this one may be one.
            log.error("the journal cannot be read", why=str(error))  # noqa: TRY400 - the message is for an operator
            return True
        known = max(journal.known, self._signed())
        found = await compare(session, latest, known=known)
        journal.epoch = found.epoch
        if found.is_behind:
            if not found.marked:
                await self._mark(found.epoch)
            return True
        journal.known = found.known
        if found.epoch > found.known:
            try:
                await journal.begin(found.epoch)
            except JournalError as error:
                log.error("the journal cannot be written", why=str(error))  # noqa: TRY400 - the message is for an operator
        return False
