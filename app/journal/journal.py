"""Keeps notes of writes that forbid: in memory always, and in files and by a hook where the deployment has them."""

import asyncio
import subprocess
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from app.journal.files import append, last_lines
from app.journal.lines import Clock, JournalError, JournalNote, KeptNote, line_of, note_of, read_line
from app.ledger.vault import Vault

_LAST: Final = 200
"""So many of the latest notes tell whether a database has gone back: any loss loses the latest first."""
_HOOK_SECONDS: Final = 5.0
log = structlog.get_logger("sceau.journal")


@dataclass(frozen=True, slots=True)
class JournalPlan:
    """Where notes are kept: a directory, a program that gets each line on its standard input; None for neither.

    `vault` seals what is kept there; a plan with neither needs none.
    """

    clock: Clock
    vault: Vault | None = None
    directory: Path | None = None
    hook: Path | None = None


class Journal:
    """One process's part of the journal.

    `epoch` is that of the database which is read now; `known` the highest that this process has seen of it.
    """

    def __init__(self, plan: JournalPlan) -> None:
        """Know nothing yet; nothing is read or written."""
        self.epoch = self.known = 1
        self._plan = plan
        self._recent: deque[KeptNote] = deque(maxlen=_LAST)
        self._unkept: list[bytes] = []
        self._turn = asyncio.Lock()

    async def keep(self, notes: Sequence[JournalNote]) -> None:
        """Keep notes of what was just committed, before that is answered.

        Raises:
            JournalError: they are not kept where they should be.

        """
        now = self._plan.clock()
        kept = [KeptNote(self.epoch, now, note) for note in notes]
        self._recent.extend(kept)
        vault = self._plan.vault
        if vault is None:
            return
        # What could not be kept before stands in front: its write is answered as done when it is sent again.
        self._unkept.extend(line_of(each, vault) for each in kept)
        async with self._turn:
            if lines := list(self._unkept):
                await self._keep_lines(now, lines)
                del self._unkept[: len(lines)]

    async def _keep_lines(self, now: datetime, lines: Sequence[bytes]) -> None:
        if self._plan.directory is not None:
            await asyncio.to_thread(append, self._plan.directory, now, lines)
        if self._plan.hook is not None:
            await asyncio.to_thread(_hand_on, self._plan.hook, b"".join(lines))

    async def begin(self, epoch: int) -> None:
        """Note that a later epoch has begun than the one that was known here.

        Raises:
            JournalError: as `keep`.

        """
        self.epoch = self.known = epoch
        await self.keep([note_of("epoch", {"number": epoch})])

    def latest(self) -> list[KeptNote]:
        """The latest notes that this process or its host kept, the host's first.

        Raises:
            JournalError: the files cannot be read, or a line of them cannot be opened.

        """
        return [*self.kept_last(), *self._recent]

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
