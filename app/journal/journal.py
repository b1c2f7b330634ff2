"""Keeps notes of writes that forbid: in memory always, and in files and by a hook where the deployment has them."""

import asyncio
import subprocess
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from app.db.database import Database
from app.db.session import WriteSession
from app.journal.files import append, last_lines
from app.journal.lines import Clock, JournalError, KeptNote, line_of, note_of, read_line
from app.journal.outbox import AT_ONCE, held_lines, put_lines, remove_lines
from app.ledger.vault import Vault

_LAST: Final = 200
"""So many of the latest notes tell whether a database has gone back: any loss loses the latest first."""
_HOOK_SECONDS: Final = 5.0


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
    """Notes of one transaction: as this process remembers them, as lines of the journal, and where those wait."""

    kept: Sequence[KeptNote] = ()
    lines: Sequence[bytes] = ()
    ids: Sequence[UUID] = ()


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
        self._recent: deque[KeptNote] = deque(maxlen=_LAST)
        self._kept_ids: list[UUID] = []

    def note(self, session: WriteSession) -> Noted:
        """Put notes of what a transaction forbids into it, just before it is committed.

        A write that forbids nothing is not noted: without it less is permitted, and not more.
        """
        done, vault = session.committing, self._plan.vault
        if not done.narrowing:
            return Noted()
        now = self._plan.clock()
        kept = [KeptNote(self.epoch, now, note_of(kind, fact)) for kind, fact in done.notes]
        lines = [line_of(each, vault) for each in kept] if vault is not None else []
        return Noted(kept, lines, put_lines(session, lines))

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
        self._recent.extend(noted.kept)
        if self._plan.vault is None:
            return
        try:
            if repeats:
                await self.keep_waiting(database)
            if noted.lines:
                await self._keep_lines(noted.lines)
        except JournalError:
            self.failures += 1
            raise
        self._kept_ids += noted.ids

    async def keep_waiting(self, database: Database, *, older_than: timedelta = timedelta(0)) -> None:
        """Keep whatever waits in the database for that long, and take it away there.

        Raises:
            JournalError, DatabaseUnavailableError: as `keep`.

        """
        if self._plan.vault is None:
            return
        is_more = True
        while is_more:
            async with database.write() as session:
                waiting = await held_lines(session, older_than=older_than)
                if waiting:
                    await self._keep_lines(list(waiting.values()))
                await remove_lines(session, list(waiting))
            is_more = len(waiting) == AT_ONCE

    async def take_away_kept(self, database: Database) -> None:
        """Take away in the database what this process has kept itself.

        Raises:
            DatabaseUnavailableError: it cannot be written; another process then keeps these notes a second time.

        """
        ids, self._kept_ids = self._kept_ids, []
        if ids:
            async with database.write() as session:
                await remove_lines(session, ids)

    async def _keep_lines(self, lines: Sequence[bytes]) -> None:
        if self._plan.directory is not None:
            await asyncio.to_thread(append, self._plan.directory, self._plan.clock(), lines)
        if self._plan.hook is not None:
            await asyncio.to_thread(_hand_on, self._plan.hook, b"".join(lines))

    async def begin(self, epoch: int) -> None:
        """Note that a later epoch has begun than the one that was known here.

        Raises:
            JournalError: it cannot be noted.

        """
        self.epoch = self.known = epoch
        kept = KeptNote(epoch, self._plan.clock(), note_of("epoch", {"number": epoch}))
        self._recent.append(kept)
        if self._plan.vault is not None:
            await self._keep_lines([line_of(kept, self._plan.vault)])

    def latest(self) -> list[KeptNote]:
        """The latest notes that this process or its host kept, the host's first.

        Raises:
            JournalError: the files cannot be read, or a line of them cannot be opened.

        """
        return [*self.kept_last(), *self._recent]

    def revoked(self, caller: UUID) -> bool:
        """Whether the latest notes say that a caller was revoked: a restored database may not know it."""
        try:
            latest = self.latest()
        except JournalError:
            return False  # nothing tells, and to accept a restore is the way out of that
        noted = [each.note for each in latest if each.note.kind == "caller"]
        return any(msgspec.json.decode(each.body)["caller"] == str(caller) for each in noted)

    def kept_last(self) -> list[KeptNote]:
        """The latest notes in the files.

        Raises:
            JournalError: as `latest`.

        """
        vault, directory = self._plan.vault, self._plan.directory
        if vault is None or directory is None:
            return []
        return [read_line(line, vault) for line in last_lines(directory, _LAST)]


def _hand_on(hook: Path, lines: bytes) -> None:
    """Run the deployment's program with the lines; it has done its work when it ends with 0.

    Raises:
        JournalError: it cannot be run, fails, or takes too long.

    """
    try:
        done = subprocess.run(
            [hook],
            input=lines,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_HOOK_SECONDS,
            check=False,
        )
    except OSError as error:
        raise JournalError(f"the journal's hook cannot be run ({error.strerror})") from None
    except subprocess.TimeoutExpired:
        raise JournalError("the journal's hook takes too long") from None
    if done.returncode != 0:
        raise JournalError("the journal's hook failed")
