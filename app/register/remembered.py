"""Register entries remembered by a process that writes: as long as the register has not grown, they are what it holds.

The tables of the register are append-only. What was seen stays, so that a register of which as many rows are seen is
the same one: the number of rows in each table, on one server, is an exact stamp of what was read. Another server may
hold as many other rows, if the one before was lost with some: its identity is part of the stamp.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy import text

from app.db.lookups import Lookup, Prepared
from app.db.primary import IDENTITY
from app.db.session import ReadSession
from app.register.records import ProcessingRecord
from app.register.store import load_processings

Stamp = tuple[str | None, int, int, int, int]
STAMP: Final[Lookup[Stamp]] = Lookup(
    Prepared(
        text(f"""
SELECT {IDENTITY} AS server, (SELECT count(*) FROM processing) AS processings,
    (SELECT count(*) FROM processing_version) AS versions, (SELECT count(*) FROM processing_status_change) AS changes,
    (SELECT count(*) FROM processing_invalidation) AS invalidations
""")  # noqa: S608 - a constant
    ),
    {},
    lambda rows: (rows[0].server, rows[0].processings, rows[0].versions, rows[0].changes, rows[0].invalidations),
)
"""What the register holds now."""
_MOST: Final = 10_000


class RegisterEntries:
    """Entries by id, None where there is none, with the stamp that was read before them."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self._stamp: Stamp | None = None
        self._entries: dict[str, ProcessingRecord | None] = {}

    async def read(
        self, session: ReadSession, ids: Collection[str], stamp: Stamp
    ) -> dict[str, ProcessingRecord | None]:
        """These entries as the register had them when its stamp was looked up (`STAMP`), or later."""
        if stamp != self._stamp or len(self._entries) > _MOST:
            self._stamp, self._entries = stamp, {}
        entries = self._entries
        missing = set(ids) - entries.keys()
        if missing:
            # Read behind the stamp, so never older than it; what is newer goes with the next stamp.
            entries.update(dict.fromkeys(missing) | await load_processings(session, missing))
        return {each: entries[each] for each in ids}
