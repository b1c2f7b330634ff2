"""List callers with what they are known by and when that was last used; never with a key."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from app.auth.callers import ApiKey, Caller
from app.auth.sessions import Uses, last_uses, write_uses
from app.auth.store import keys_of, load_caller
from app.auth.store import list_callers as load_page
from app.core.errors import NotFoundError
from app.db.database import Database, DatabaseUnavailableError
from app.db.session import ReadSession
from app.register.store import load_processings


@dataclass(frozen=True, slots=True)
class CallerView:
    """A caller, its keys, and when each of its credentials was last used (to the minute).

    A credential is a key, or the caller itself where it is known by tokens.
    """

    caller: Caller
    keys: Sequence[ApiKey]
    uses: Mapping[UUID, datetime]

    @property
    def last_used_at(self) -> datetime | None:
        """When any of its credentials was last used."""
        return max(self.uses.values(), default=None)


async def list_callers(
    session: ReadSession, by: Caller | None, *, after: UUID | None, limit: int
) -> Sequence[CallerView]:
    """The next callers, oldest first, revoked ones included.

    Args:
        session: where to read.
        by: who asks; it is shown none that may name processings which it may not name itself. None is shown all.
        after: the id of the last caller of the page before.
        limit: how many at most.

    """
    within = by.processings if by is not None else None
    return await _viewed(session, await load_page(session, after=after, limit=limit, within=within))


async def find_caller(session: ReadSession, by: Caller, identifier: UUID) -> CallerView:
    """One caller.

    Raises:
        NotFoundError: there is none, or none that is shown to `by`.

    """
    found = await load_caller(session, identifier)
    if found is None or not by.covers((), found.processings):
        raise NotFoundError
    return (await _viewed(session, [found]))[0]


async def _viewed(session: ReadSession, callers: Sequence[Caller]) -> list[CallerView]:
    keys = await keys_of(session, [each.id for each in callers])
    credentials = {each.id: [each.id, *(key.id for key in keys[each.id])] for each in callers}
    uses = await last_uses(session, [one for some in credentials.values() for one in some])
    return [
        CallerView(each, keys[each.id], {one: uses[one] for one in credentials[each.id] if one in uses})
        for each in callers
    ]


async def find_unregistered(session: ReadSession, caller: Caller) -> list[str]:
    """Ids of processings in the list of a caller that the register does not know, in order."""
    named = caller.processings or frozenset()
    known = await load_processings(session, named) if named else {}
    return sorted(named - known.keys())


_EVERY_SECONDS: Final = 60.0


async def keep_uses(database: Database, uses: Uses) -> None:
    """Write again and again, until cancelled; `flush_uses` then writes the rest."""
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        await flush_uses(database, uses)


async def flush_uses(database: Database, uses: Uses) -> None:
    """Write what was noted and is not written yet. What cannot be written now is kept for the next time."""
    noted = uses.unwritten()
    if not noted:
        return
    try:
        async with database.write() as session:
            await write_uses(session, noted)
    except DatabaseUnavailableError:
        return
    uses.written(noted)
