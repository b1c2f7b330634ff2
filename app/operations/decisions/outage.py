"""Whether the database is away, as this process has found: remembered, so that exempt purposes do not wait for it.

A server that is gone without a word (a black hole) costs whoever asks it a time-out of seconds. The first call that
meets it begins an outage; until a read beside succeeds, calls with exempt purposes are answered at once from what was
last known.
"""

import asyncio
from typing import Final

from app.db.database import DatabaseUnavailableError, RestoredBehindError
from app.db.session import INSTANT
from app.snapshot.beats import boot_seconds
from app.snapshot.last_known import LastKnown
from app.snapshot.primary_reads import PrimaryReads

_PAUSE_SECONDS: Final = 0.2


class Outage:
    """Begun by a read that failed or that took too long; ended by one that succeeded.

    `lasts`: the database was away when it was last asked.
    """

    def __init__(self, reads: PrimaryReads, known: LastKnown) -> None:
        """Take it that the database is there."""
        self.lasts = False
        self._reads = reads
        self._known = known
        self._probe: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """The database does not answer: remember it, and ask again and again beside."""
        self._known.away()
        self.lasts = True
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._until_it_answers())

    def end(self) -> None:
        """The database has answered. A probe under way is not cancelled: that would break its connection."""
        self.lasts = False

    async def close(self) -> None:
        """Ask no more."""
        self.lasts = False
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait({self._probe}, timeout=1)

    async def _until_it_answers(self) -> None:
        while self.lasts:
            try:
                asked = boot_seconds()
                async with self._reads.read() as session:
                    clock = await session.find(INSTANT)
            except RestoredBehindError:  # it answers: exempt purposes are read from it
                self._known.is_back()
                self.lasts = False
            except DatabaseUnavailableError:
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                self._known.heard(clock, asked)
                self.lasts = False
