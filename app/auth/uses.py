"""When credentials were last used: noted in memory by a plain store, written now and then for many at once.

Nothing is written for a request. A use is told to the minute, and up to a minute late: it is there so that keys nobody
uses any more are found, not to trace what somebody did.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select, text

from app.auth.tables import credential_use
from app.db.many import as_rows
from app.db.session import ReadSession, WriteSession

_WRITE: Final = text("""
INSERT INTO credential_use (credential, used_at)
SELECT credential, date_trunc('minute', clock_timestamp() - ago * interval '1 second')
FROM json_to_recordset(CAST(:rows AS json)) AS given (credential uuid, ago double precision)
ORDER BY credential
ON CONFLICT (credential) DO UPDATE SET used_at = EXCLUDED.used_at WHERE credential_use.used_at < EXCLUDED.used_at
""")
# Sorted, so that workers that write of the same credentials at once wait for one another and never in a circle.


class Use:
    """Whether one credential was used since the last look. Setting `noted` is all that a request does."""

    __slots__ = ("noted",)

    def __init__(self) -> None:
        """Not used yet."""
        self.noted = False


class Uses:
    """The uses in this process, by credential. One entry for each credential in force that was shown here."""

    def __init__(self) -> None:
        """None yet."""
        self._uses: dict[UUID, Use] = {}
        self._unwritten: dict[UUID, float] = {}

    def of(self, credential: UUID) -> Use:
        """Where a credential's use is noted."""
        return self._uses.setdefault(credential, Use())

    def note(self, credential: UUID) -> None:
        """A credential was used."""
        self.of(credential).noted = True

    def unwritten(self, now: float) -> Mapping[UUID, float]:
        """What is to be written: seconds since each use not written yet; `now` is by a clock that only goes on."""
        for credential, use in self._uses.items():
            if use.noted:
                use.noted = False
                self._unwritten[credential] = now
        return {credential: now - at for credential, at in self._unwritten.items()}

    def written(self, credentials: Iterable[UUID]) -> None:
        """Those are in the database now."""
        for credential in credentials:
            self._unwritten.pop(credential, None)


async def write_uses(session: WriteSession, ago: Mapping[UUID, float]) -> None:
    """Keep when credentials were used, as seconds ago; an earlier time than the one that is there changes nothing."""
    rows = ({"credential": credential, "ago": seconds} for credential, seconds in ago.items())
    await session.execute(_WRITE, {"rows": as_rows(rows)})


async def last_uses(session: ReadSession, credentials: Collection[UUID]) -> Mapping[UUID, datetime]:
    """When each of these was last used, to the minute; none for one that never was."""
    if not credentials:
        return {}
    table = credential_use.c
    found = await session.execute(select(table.credential, table.used_at).where(table.credential.in_(credentials)))
    return {row.credential: row.used_at for row in found}
