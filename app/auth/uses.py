"""When credentials were last used: noted in memory by a plain store, written now and then for many at once.

Nothing is written for a request. A use is told to the minute, and up to a minute late: it is there so that keys nobody
uses any more are found, not to trace what somebody did.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select, text

from app.auth.callers import Authenticated
from app.auth.store import credential_use
from app.db.lookups import as_rows
from app.db.session import ReadSession, WriteSession

_WRITE: Final = text("""
INSERT INTO credential_use (credential, used_at)
SELECT credential, date_trunc('minute', least(to_timestamp(at), clock_timestamp()))
FROM json_to_recordset(CAST(:rows AS json)) AS given (credential uuid, at double precision)
ORDER BY credential
ON CONFLICT (credential) DO UPDATE SET used_at = EXCLUDED.used_at WHERE credential_use.used_at < EXCLUDED.used_at
""")
# Sorted, so that workers that write of the same credentials at once wait for one another and never in a circle.


class Use:
    """When one credential was last used here, as an epoch time. Setting `at` is all that a request does."""

    __slots__ = ("at", "written")

    def __init__(self) -> None:
        """Never."""
        self.at = self.written = 0.0


class Uses:
    """The uses in this process, by credential. One entry for each credential in force that was shown here."""

    def __init__(self) -> None:
        """None yet."""
        self._uses: dict[UUID, Use] = {}

    def of(self, credential: UUID) -> Use:
        """Where a credential's use is noted."""
        return self._uses.setdefault(credential, Use())

    def note(self, found: Authenticated) -> None:
        """A credential was found good, and used."""
        self.of(found.credential).at = found.at.timestamp()

    def unwritten(self) -> Mapping[UUID, float]:
        """What is to be written: the epoch time of each use that is later than the one that was written last."""
        return {credential: use.at for credential, use in self._uses.items() if use.at > use.written}

    def written(self, uses: Mapping[UUID, float]) -> None:
        """Those are in the database now."""
        for credential, at in uses.items():
            self._uses[credential].written = at


async def write_uses(session: WriteSession, uses: Mapping[UUID, float]) -> None:
    """Keep when credentials were used (epoch times); an earlier time than the one that is there changes nothing."""
    rows = ({"credential": credential, "at": at} for credential, at in uses.items())
    await session.execute(_WRITE, {"rows": as_rows(rows)})


async def last_uses(session: ReadSession, credentials: Collection[UUID]) -> Mapping[UUID, datetime]:
    """When each of these was last used, to the minute; none for one that never was."""
    if not credentials:
        return {}
    table = credential_use.c
    found = await session.execute(select(table.credential, table.used_at).where(table.credential.in_(credentials)))
    return {row.credential: row.used_at for row in found}
